/**
 * Connects a client to the node. Ready when the first event has come.
 * @param {Token} token
 * @param {Options} [options]
 * @returns {Promise<Client>}
 */
export function connect(token: Token, options?: Options): Promise<Client>;
/**
 * One who calls and is called.
 *
 * Events: `incoming` (call), `connected`, `disconnected` (error), `closed` (error or undefined), `devices`.
 */
export class Client extends Emitter {
    /**
     * @param {Token} token
     * @param {Options} options
     */
    constructor(token: Token, options: Options);
    /** @type {Options} */
    options: Options;
    url: string;
    /** Which of this person's devices it is. */
    device: `${string}-${string}-${string}-${string}-${string}`;
    /** The name by which others call: known when it is connected. */
    name: string;
    /** @type {Map<string, Call>} */
    calls: Map<string, Call>;
    /** @type {{ microphone?: string, camera?: string, speaker?: string }} */
    chosen: {
        microphone?: string;
        camera?: string;
        speaker?: string;
    };
    /** Done with the first event. */
    ready: Promise<any>;
    /**
     * Calls somebody: a client by name, `+15551234`, `sip:bob@example.com`, `{ number: '101' }`, `{ room: '3000' }`. The call has begun when this
     * is done.
     * @param {string | Target | [string | Target]} target
     * @returns {Promise<Call>}
     */
    call(target: string | Target | [string | Target]): Promise<Call>;
    /** Ends everything. Done when the others have been told. */
    close(): Promise<void>;
    /**
     * Microphones, cameras and speakers. They have names once one was allowed.
     * @returns {Promise<{ microphones: MediaDeviceInfo[], cameras: MediaDeviceInfo[], speakers: MediaDeviceInfo[] }>}
     */
    devices(): Promise<{
        microphones: MediaDeviceInfo[];
        cameras: MediaDeviceInfo[];
        speakers: MediaDeviceInfo[];
    }>;
    /**
     * Takes other devices, for calls that are up too.
     * @param {{ microphone?: string, camera?: string, speaker?: string }} chosen Their `deviceId`.
     */
    use(chosen: {
        microphone?: string;
        camera?: string;
        speaker?: string;
    }): Promise<void>;
    /**
     * A microphone. Refusals are told in words.
     * @returns {Promise<MediaStreamTrack>}
     */
    microphone(): Promise<MediaStreamTrack>;
    /**
     * Servers for ICE, with keys that last for a while: got anew when they end.
     * @returns {Promise<RTCConfiguration>}
     */
    ice(): Promise<RTCConfiguration>;
    /**
     * Used by calls: how many voices a room forwards at once, each on a line of its own.
     * @param {string} room
     * @returns {Promise<number>}
     */
    voices(room: string): Promise<number>;
    /** When the keys for TURN end, in milliseconds since 1970; never where there are none. */
    get keysEnd(): number;
    /** True where the operator has TURN servers: without them, those who do not reach each other cannot talk. */
    get relay(): boolean;
    /**
     * A request of the API. What the network loses is sent again: by its key it is done once.
     * @param {'GET' | 'POST'} method
     * @param {string} path
     * @param {object} [body]
     * @param {number} [again] How long it is sent again for, in milliseconds.
     * @returns {Promise<any>}
     */
    ask(method: "GET" | "POST", path: string, body?: object, again?: number): Promise<any>;
    /**
     * Used by calls: asks for one, and tells it what came before its answer.
     * @param {Call} call
     * @param {object} wanted
     */
    startCall(call: Call, wanted: object): Promise<void>;
    #private;
}
export type Token = import("./base.js").Token;
export type Target = import("./base.js").Target;
export type Options = import("./base.js").Options;
export type Quality = import("./base.js").Quality;
export type State = import("./base.js").State;
export type Member = import("./base.js").Member;
export type Seen = import("./base.js").Seen;
export type CallView = import("./base.js").CallView;
import { Call } from './call.js';
import { TandemError } from './base.js';
import { Emitter } from './base.js';
export { Call, TandemError };
