/** @param {Response} response */
export function refusal(response: Response): Promise<TandemError>;
/**
 * What somebody writes who is to be called: `+15551234` and `tel:+15551234` are phone numbers, `sip:bob@example.com` is a SIP address, `room:3000` a
 * room, and everything else the name of a client.
 * @param {string | Target} target
 * @returns {Target}
 */
export function targetOf(target: string | Target): Target;
/**
 * The name of a member.
 * @param {Partial<MemberView>} member
 * @returns {string}
 */
export function nameOf(member: Partial<MemberView>): string;
/**
 * @typedef {string | (() => string | Promise<string>)} Token
 *   An access token, or what gets one. With a function the client goes on when a token expires.
 * @typedef {{ client: string } | { number: string } | { sip: string } | { room: string }} Target
 *   Who is called: a client, a phone number, a SIP address, a room.
 * @typedef {object} Options
 * @property {string} [url] Where the API is; by default where this file came from.
 * @property {'events' | 'websocket'} [transport] How events come; by default server-sent events, and a WebSocket where these do not arrive.
 * @property {MediaTrackConstraints | boolean} [audio] What is asked of the microphone.
 * @property {MediaTrackConstraints | boolean} [video] What is asked of the camera.
 * @property {number} [places] How many others are seen at once in a room: 1 to 16, by default 8.
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
 * @typedef {object} Member Somebody in a room.
 * @property {number} id Of him alone.
 * @property {string} name Of a client its name, of others what they call themselves, or their number.
 * @property {boolean} muted
 * @property {boolean} held
 * @property {boolean} me It is this page.
 * @typedef {object} Seen Somebody who is seen.
 * @property {number} member As in `Member`; 0 in a call between two.
 * @property {string} name
 * @property {boolean} screen It is a screen, and no camera.
 * @property {string} mid The line of the connection.
 * @property {MediaStreamTrack} track For an element `video`: `new MediaStream([track])`. A line's track is the same whoever is seen there.
 * @typedef {'microphone-refused' | 'no-microphone' | 'camera-refused' | 'no-camera' | 'screen-refused' | 'no-screen' | 'no-video' |
 *   'no-network' | 'no-way' | 'wrong-moment' | 'wrong-pin' | 'ended' | 'closed' | 'unknown'} Fault
 *   Kinds of errors that are no problems of the API. `ended`: the call ended meanwhile, or the node has ended the stream of events (the token has expired
 *   or was withdrawn); `closed`: the client was closed before it was connected; `unknown`: what was answered is no problem of the API.
 * @typedef {'ringing' | 'connecting' | 'up' | 'ended'} State
 * @typedef {{ client?: string, number?: string, sip?: string, room?: string, display?: string, muted: boolean, holds: boolean }} MemberView
 *   One of `client`, `number`, `sip` and `room` is there.
 * @typedef {{ id: string, state: 'ringing' | 'up', from: MemberView, to: MemberView, offer?: string, revision?: number }} CallView
 */
/** Why something was refused: an RFC 9457 problem of the API, or one of the page or its browser. */
export class TandemError extends Error {
    /**
     * @param {string} kind
     * @param {string} message
     * @param {number} [status]
     */
    constructor(kind: string, message: string, status?: number);
    /** The last part of the problem's type, such as `not-connected`; or a `Fault`. @type {Fault | (string & {})} */
    kind: Fault | (string & {});
    /** The status of HTTP; 0 where there is none. */
    status: number;
}
/** Who tells others what happens. */
export class Emitter {
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
export function pause(milliseconds: number): Promise<any>;
/**
 * An access token, or what gets one. With a function the client goes on when a token expires.
 */
export type Token = string | (() => string | Promise<string>);
/**
 * Who is called: a client, a phone number, a SIP address, a room.
 */
export type Target = {
    client: string;
} | {
    number: string;
} | {
    sip: string;
} | {
    room: string;
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
     * What is asked of the camera.
     */
    video?: boolean | MediaTrackConstraints | undefined;
    /**
     * How many others are seen at once in a room: 1 to 16, by default 8.
     */
    places?: number | undefined;
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
/**
 * Somebody in a room.
 */
export type Member = {
    /**
     * Of him alone.
     */
    id: number;
    /**
     * Of a client its name, of others what they call themselves, or their number.
     */
    name: string;
    muted: boolean;
    held: boolean;
    /**
     * It is this page.
     */
    me: boolean;
};
/**
 * Somebody who is seen.
 */
export type Seen = {
    /**
     * As in `Member`; 0 in a call between two.
     */
    member: number;
    name: string;
    /**
     * It is a screen, and no camera.
     */
    screen: boolean;
    /**
     * The line of the connection.
     */
    mid: string;
    /**
     * For an element `video`: `new MediaStream([track])`. A line's track is the same whoever is seen there.
     */
    track: MediaStreamTrack;
};
/**
 * Kinds of errors that are no problems of the API. `ended`: the call ended meanwhile, or the node has ended the stream of events (the token has expired
 * or was withdrawn); `closed`: the client was closed before it was connected; `unknown`: what was answered is no problem of the API.
 */
export type Fault = "microphone-refused" | "no-microphone" | "camera-refused" | "no-camera" | "screen-refused" | "no-screen" | "no-video" | "no-network" | "no-way" | "wrong-moment" | "wrong-pin" | "ended" | "closed" | "unknown";
export type State = "ringing" | "connecting" | "up" | "ended";
/**
 * One of `client`, `number`, `sip` and `room` is there.
 */
export type MemberView = {
    client?: string;
    number?: string;
    sip?: string;
    room?: string;
    display?: string;
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
