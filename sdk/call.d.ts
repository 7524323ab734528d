/**
 * A call with one other. With a client media goes directly; with a phone number, a SIP address or a room it goes by the node. Where a third
 * is added, a call between clients becomes one with a room.
 *
 * Events: `state` (state), `ringing` (it rings at a number), `stream` (MediaStream; before the answer too), `ended` (reason, by, a sentence
 * that says more), `updated`, `dtmf` (digits), `pin` (the room wants its PIN: how often it was `wrong`, and may be tried yet, `left`, at 0 of which it ends the call; null when it was
 * right), `moved` (room), `participant` and `transfer` (status of SIP), `removed` (whom, status of SIP), `path` (what the connection is doing), `blocked` (the browser plays
 * nothing before a gesture: call `play()` from one), `trouble` (error: what keeps the two apart, in words; another way is looked for). Of what is
 * seen: `video` (all who are seen now), `members` (all in the room), `speaking` (the ids of those who speak), `camera` and `screen` (our own
 * track, or null: the browser may end it).
 */
export class Call extends Emitter {
    /**
     * @param {Client} client
     * @param {'incoming' | 'outgoing'} direction
     * @param {Partial<MemberView>} peer
     */
    constructor(client: Client, direction: "incoming" | "outgoing", peer: Partial<MemberView>);
    id: string;
    direction: "incoming" | "outgoing";
    /** The other's name, number, address, or the room. */
    peer: string;
    /** What the other calls itself, where that is no client. */
    display: string;
    /** The number of the room, where it is with one. */
    room: string;
    /** Media goes directly to the other. */
    direct: boolean;
    /** @type {State} */
    state: State;
    muted: boolean;
    held: boolean;
    /** What the other says of himself. */
    remote: {
        muted: boolean;
        holds: boolean;
    };
    /** The room wants its PIN: how often it was wrong, and may be tried yet. @type {import('./pin.js').Asked | null} */
    pin: import("./pin.js").Asked | null;
    /** What the other says. @type {MediaStream | null} */
    stream: MediaStream | null;
    /** @type {string | null} */
    reason: string | null;
    /** More of the reason: a sentence, where there is one. */
    detail: string;
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
    /**
     * Used by the client: somebody wants us in a room. It rings at nobody; who accepts calls the room.
     * @param {string} room
     */
    invited(room: string): void;
    /** Takes the call. Done when the other knows. */
    accept(): Promise<void>;
    /** @param {'declined' | 'busy'} [reason] */
    reject(reason?: "declined" | "busy"): Promise<void>;
    /** Ends it, whatever it is doing. */
    hangUp(): Promise<void>;
    /** Used by the client, which closes: the other is not told that somebody has hung up. */
    close(): Promise<void>;
    /** @param {boolean} [on] */
    mute(on?: boolean): Promise<void>;
    /**
     * On hold neither hears the other. Who is called by the node hears its music.
     * @param {boolean} [on]
     */
    hold(on?: boolean): Promise<void>;
    /**
     * Digits to the other's page, and as tones where the connection takes them; to all others as tones, which the node makes.
     * @param {string} digits
     */
    sendDigits(digits: string): Promise<void>;
    /**
     * The same as `sendDigits`.
     * @param {string} digits
     */
    dtmf(digits: string): Promise<void>;
    /**
     * Gives the PIN that a room has asked for (`pin`). Done when it was right; else a `TandemError` says so, of the kind `wrong-pin`.
     * @param {string} pin Digits. Empty where only moderators have one.
     */
    enterPin(pin: string): Promise<void>;
    /**
     * One more: a call between two clients moves into a room, where all hear each other. `participant` tells what became of a number that the
     * room calls.
     * @param {string | Target} target
     */
    addParticipant(target: string | Target): Promise<void>;
    /**
     * Somebody is sent away from the room that the call is with (or has moved into), by the rights of its moderators. `removed` tells what became of it.
     * @param {string | Target} target a client, a phone number or a SIP address, as it was added
     */
    removeParticipant(target: string | Target): Promise<void>;
    /**
     * The other, who is no client, is made to call somebody else. `transfer` tells what became of it; where it was successful this call ends.
     * @param {string | Target} target
     */
    transfer(target: string | Target): Promise<void>;
    /**
     * Those who are seen now, each with a track: in a room whom the node shows, in a call between two the other.
     * @returns {Seen[]}
     */
    get videos(): Seen[];
    /**
     * Those who are in the room, this page too, in the order in which they came. None where more than 50 are in it.
     * @returns {Member[]}
     */
    get members(): Member[];
    /**
     * The ids of those in the room who speak now.
     * @returns {number[]}
     */
    get speaking(): number[];
    /**
     * Our own camera, where it is on: for a preview.
     * @returns {MediaStreamTrack | null}
     */
    get ownCamera(): MediaStreamTrack | null;
    /**
     * Our own screen, where it is shared.
     * @returns {MediaStreamTrack | null}
     */
    get ownScreen(): MediaStreamTrack | null;
    /**
     * Shows the camera, or no longer. Calls with rooms have video, and those between two clients.
     * @param {boolean} [on]
     * @returns {Promise<MediaStreamTrack | null>} Our own, for a preview.
     */
    camera(on?: boolean): Promise<MediaStreamTrack | null>;
    /**
     * Shares a screen, a window or a tab beside the camera, or no longer. To be called from a gesture: the browser asks which.
     * @param {boolean} [on]
     * @returns {Promise<MediaStreamTrack | null>}
     */
    shareScreen(on?: boolean): Promise<MediaStreamTrack | null>;
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
     * @param {string} [detail]
     */
    over(reason: string, by: string | null, detail?: string): void;
    /**
     * Used by the client: the call has a name.
     * @param {string} id
     */
    named(id: string): void;
    #private;
}
export type Target = import("./base.js").Target;
export type State = import("./base.js").State;
export type Quality = import("./base.js").Quality;
export type CallView = import("./base.js").CallView;
export type MemberView = import("./base.js").MemberView;
export type Member = import("./base.js").Member;
export type Seen = import("./base.js").Seen;
export type Client = import("./tandem.js").Client;
import { Emitter } from './base.js';
