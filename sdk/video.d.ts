/**
 * Used by `Call`. Events: `video`, `members`, `speaking`, `camera` (track), `screen` (track).
 */
export class Video extends Emitter {
    /**
     * @param {Client} client
     */
    constructor(client: Client);
    /** Our own camera, where it is on. @type {MediaStreamTrack | null} */
    camera: MediaStreamTrack | null;
    /** Our own screen, where it is shared. @type {MediaStreamTrack | null} */
    screen: MediaStreamTrack | null;
    /** @type {Member[]} */
    members: Member[];
    /** Those who speak. @type {number[]} */
    speaking: number[];
    /**
     * A connection has its lines: before its offer, or behind the other's.
     * @param {RTCPeerConnection} pc
     * @param {{ isRoom: boolean, isAnswer: boolean, peer: string }} kind
     */
    open(pc: RTCPeerConnection, { isRoom, isAnswer, peer }: {
        isRoom: boolean;
        isAnswer: boolean;
        peer: string;
    }): Promise<void>;
    /**
     * This is the connection that is looked at from now on.
     * @param {RTCPeerConnection | null} pc
     */
    use(pc: RTCPeerConnection | null): void;
    /** It is over: nothing is sent any more. */
    close(): void;
    /**
     * Those who are seen now.
     * @returns {Seen[]}
     */
    get seen(): Seen[];
    /**
     * What the node says of the room.
     * @param {string} name
     * @param {any} data
     */
    told(name: string, data: any): void;
    /**
     * The camera is shown from now on, or no longer.
     * @param {boolean} on
     * @returns {Promise<MediaStreamTrack | null>}
     */
    showCamera(on: boolean): Promise<MediaStreamTrack | null>;
    /**
     * A screen, a window or a tab is shared from now on, or no longer.
     * @param {boolean} on
     * @returns {Promise<MediaStreamTrack | null>}
     */
    shareScreen(on: boolean): Promise<MediaStreamTrack | null>;
    /** Takes the camera that is chosen now. */
    switchCamera(): Promise<void>;
    #private;
}
export type Lines = {
    camera: RTCRtpTransceiver | null;
    screen: RTCRtpTransceiver | null;
    isRoom: boolean;
};
export type Member = import("./base.js").Member;
export type Seen = import("./base.js").Seen;
export type Client = import("./tandem.js").Client;
import { Emitter } from './base.js';
