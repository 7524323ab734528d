/**
 * Used by `Call`. Events: `candidate` (one more of ours), `stream` (what is heard is there, or more of it), `state` (of the connection).
 */
export class Connection extends Emitter {
    /**
     * One with a microphone, and no lines yet.
     * @param {Client} client
     * @returns {Promise<Connection>}
     */
    static open(client: Client): Promise<Connection>;
    /**
     * @param {Client} client
     * @param {RTCConfiguration} configuration
     * @param {MediaStreamTrack} track
     */
    constructor(client: Client, configuration: RTCConfiguration, track: MediaStreamTrack);
    pc: RTCPeerConnection;
    /** Our microphone. */
    track: MediaStreamTrack;
    /** @type {RTCRtpSender | null} */
    sender: RTCRtpSender | null;
    /** What is heard. In a room that forwards voices it has a track for all others, and one for each of those who speak at once. @type {MediaStream | null} */
    stream: MediaStream | null;
    /**
     * The lines for sound: that of the microphone, behind the other's offer if there is one, and so many for voices that are forwarded.
     * @param {RTCSessionDescriptionInit | undefined} offer
     * @param {number} voices
     */
    begin(offer: RTCSessionDescriptionInit | undefined, voices: number): Promise<void>;
    /** Our description: an offer, or the answer where one waits. */
    local(): Promise<string | undefined>;
    /** @param {RTCSessionDescriptionInit} description */
    remote(description: RTCSessionDescriptionInit): Promise<void>;
    /**
     * Offers another path (ICE restart, RFC 8445 9), with keys of now.
     * @param {string} id Of the call.
     */
    restart(id: string): Promise<void>;
    /**
     * The other has answered our offer of this number.
     * @param {string} sdp
     * @param {number} revision
     */
    answered(sdp: string, revision: number): Promise<void>;
    /**
     * Answers an offer of the other.
     * @param {string} id Of the call.
     * @param {string} sdp
     * @param {number} revision
     */
    answer(id: string, sdp: string, revision: number): Promise<void>;
    /** What was offered is withdrawn. */
    rollback(): Promise<void>;
    /** @param {RTCIceCandidateInit[]} candidates */
    candidates(candidates: RTCIceCandidateInit[]): Promise<void>;
    /**
     * Tells the other our candidates, several at once. The node needs none (RFC 8445 2.5).
     * @param {string} id Of the call.
     */
    tell(id: string): Promise<void>;
    /** What keeps the two apart, as far as it is seen from here. */
    get apart(): string;
    /** Nothing is sent or heard any more. */
    close(): void;
    #private;
}
export type Client = import("./tandem.js").Client;
import { Emitter } from './base.js';
