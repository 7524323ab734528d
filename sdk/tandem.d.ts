/**
 * Connects a client to the node. Ready when the first event has come.
 * @param {Token} token
 * @param {Options} [options]
 * @returns {Promise<Client>}
 */
export function connect(token: Token, options?: Options): Promise<Client>;
/**
 * @typedef {string | (() => string | Promise<string>)} Token
 *   An access token, or what gets one. With a function the client goes on when a token expires.
 * @typedef {{ client: string }} Target Who is called.
 * @typedef {object} Options
 * @property {string} [url] Where the API is; by default where this file came from.
 * @property {'events' | 'websocket'} [transport] How events come; by default server-sent events, and a WebSocket where these do not arrive.
 * @property {MediaTrackConstraints | boolean} [audio] What is asked of the microphone.
 * @property {RTCIceTransportPolicy} [iceTransportPolicy] `relay`: only by TURN.
 * @property {boolean} [play] False: the page plays what comes by itself (`call.stream`).
 * @typedef {object} Quality
 * @property {number | null} mos 1 (bad) to 4.5, by the E-model (ITU-T G.107), as soon as something was heard.
 * @property {number | null} roundTrip Seconds.
 * @property {number} jitter Seconds.
 * @property {number} loss Share of packets lost since the last look, 0 to 1.
 * @property {number} received Packets since the beginning.
 * @property {number} sent Packets since the beginning.
 * @property {{ local: string, remote: string, protocol: string, relay: string | null } | null} path The kinds of the two candidates in
 *   use: host, srflx, prflx or relay; and by what our relay is reached, if it is one: udp, tcp or tls.
 * @typedef {'ringing' | 'connecting' | 'up' | 'ended'} State
 * @typedef {{ client: string, muted: boolean, holds: boolean }} MemberView
 * @typedef {{ id: string, state: 'ringing' | 'up', from: MemberView, to: MemberView, offer?: string, revision?: number }} CallView
 */
/** Why something was refused: an RFC 9457 problem of the API, or of the page itself (`kind` then is of the browser). */
export class TandemError extends Error {
    /**
     * @param {string} kind
     * @param {string} message
     * @param {number} [status]
     */
    constructor(kind: string, message: string, status?: number);
    /** The last part of the problem's type, such as `not-connected`; or `microphone-refused`, `no-microphone`, `no-network`, `no-way`. */
    kind: string;
    /** The status of HTTP; 0 where there is none. */
    status: number;
}
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
    /** @type {{ microphone?: string, speaker?: string }} */
    chosen: {
        microphone?: string;
        speaker?: string;
    };
    /** Done with the first event. */
    ready: Promise<any>;
    /**
     * Calls somebody. The call rings when this is done.
     * @param {string | Target | [string | Target]} target
     * @returns {Promise<Call>}
     */
    call(target: string | Target | [string | Target]): Promise<Call>;
    /** Ends everything. */
    close(): void;
    /**
     * Microphones and speakers. They have names once a microphone was allowed.
     * @returns {Promise<{ microphones: MediaDeviceInfo[], speakers: MediaDeviceInfo[] }>}
     */
    devices(): Promise<{
        microphones: MediaDeviceInfo[];
        speakers: MediaDeviceInfo[];
    }>;
    /**
     * Takes other devices, for calls that are up too.
     * @param {{ microphone?: string, speaker?: string }} chosen Their `deviceId`.
     */
    use(chosen: {
        microphone?: string;
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
/**
 * A call with one other.
 *
 * Events: `state` (state), `stream` (MediaStream), `ended` (reason, by), `updated`, `dtmf` (digits), `path` (what the connection is doing),
 * `blocked` (the browser plays nothing before a gesture: call `play()` from one), `trouble` (error: what keeps the two apart, in words; another
 * way is looked for).
 */
export class Call extends Emitter {
    /**
     * @param {Client} client
     * @param {'incoming' | 'outgoing'} direction
     * @param {string} peer
     */
    constructor(client: Client, direction: "incoming" | "outgoing", peer: string);
    id: string;
    direction: "incoming" | "outgoing";
    /** The other's name. */
    peer: string;
    /** @type {State} */
    state: State;
    muted: boolean;
    held: boolean;
    /** What the other says of himself. */
    remote: {
        muted: boolean;
        holds: boolean;
    };
    /** What the other says. @type {MediaStream | null} */
    stream: MediaStream | null;
    /** @type {string | null} */
    reason: string | null;
    /**
     * Used by `Client.call`.
     * @param {Target} target
     */
    start(target: Target): Promise<void>;
    /**
     * Used by the client: somebody calls.
     * @param {CallView} view
     */
    ring(view: CallView): void;
    /** Takes the call. Done when the other knows. */
    accept(): Promise<void>;
    /** @param {'declined' | 'busy'} [reason] */
    reject(reason?: "declined" | "busy"): Promise<void>;
    /** Ends it, whatever it is doing. */
    hangUp(): Promise<void>;
    /** @param {boolean} [on] */
    mute(on?: boolean): Promise<void>;
    /**
     * On hold neither hears the other.
     * @param {boolean} [on]
     */
    hold(on?: boolean): Promise<void>;
    /**
     * Digits to the other's page, and as tones where the connection takes them.
     * @param {string} digits
     */
    sendDigits(digits: string): Promise<void>;
    /**
     * Plays what comes. To be called from a gesture after `blocked`. False where the browser does not.
     * @returns {Promise<boolean>}
     */
    play(): Promise<boolean>;
    /** Takes the devices that are chosen now. */
    switchDevices(): Promise<void>;
    /**
     * How it goes.
     * @returns {Promise<Quality>}
     */
    stats(): Promise<Quality>;
    /** Looks for another path (ICE restart, RFC 8445 9). */
    restart(): void;
    /**
     * Used by the client: an event.
     * @param {string} name
     * @param {any} data
     */
    told(name: string, data: any): void;
    /**
     * Used by the client, where events were lost.
     * @param {CallView} view
     */
    resync(view: CallView): void;
    /**
     * Used by the client: it is over.
     * @param {string} reason
     * @param {string | null} by
     */
    over(reason: string, by: string | null): void;
    /**
     * Used by the client: the call has a name.
     * @param {string} id
     */
    named(id: string): void;
    #private;
}
/**
 * An access token, or what gets one. With a function the client goes on when a token expires.
 */
export type Token = string | (() => string | Promise<string>);
/**
 * Who is called.
 */
export type Target = {
    client: string;
};
export type Options = {
    /**
     * Where the API is; by default where this file came from.
     */
    url?: string | undefined;
    /**
     * How events come; by default server-sent events, and a WebSocket where these do not arrive.
     */
    transport?: "events" | "websocket" | undefined;
    /**
     * What is asked of the microphone.
     */
    audio?: boolean | MediaTrackConstraints | undefined;
    /**
     * `relay`: only by TURN.
     */
    iceTransportPolicy?: RTCIceTransportPolicy | undefined;
    /**
     * False: the page plays what comes by itself (`call.stream`).
     */
    play?: boolean | undefined;
};
export type Quality = {
    /**
     * 1 (bad) to 4.5, by the E-model (ITU-T G.107), as soon as something was heard.
     */
    mos: number | null;
    /**
     * Seconds.
     */
    roundTrip: number | null;
    /**
     * Seconds.
     */
    jitter: number;
    /**
     * Share of packets lost since the last look, 0 to 1.
     */
    loss: number;
    /**
     * Packets since the beginning.
     */
    received: number;
    /**
     * Packets since the beginning.
     */
    sent: number;
    /**
     * The kinds of the two candidates in
     * use: host, srflx, prflx or relay; and by what our relay is reached, if it is one: udp, tcp or tls.
     */
    path: {
        local: string;
        remote: string;
        protocol: string;
        relay: string | null;
    } | null;
};
export type State = "ringing" | "connecting" | "up" | "ended";
export type MemberView = {
    client: string;
    muted: boolean;
    holds: boolean;
};
export type CallView = {
    id: string;
    state: "ringing" | "up";
    from: MemberView;
    to: MemberView;
    offer?: string;
    revision?: number;
};
/** Who tells others what happens. */
declare class Emitter {
    /**
     * Calls `listener` each time; gives what ends that.
     * @param {string} name
     * @param {(...details: any[]) => void} listener
     * @returns {() => void}
     */
    on(name: string, listener: (...details: any[]) => void): () => void;
    /**
     * @param {string} name
     * @param {...any} details
     */
    emit(name: string, ...details: any[]): void;
    #private;
}
export {};
