/**
 * A call of ours is over for us.
 * @param {Client} client
 * @param {string} id
 */
export function forget(client: Client, id: string): void;
/** @typedef {import('./connection.js').Connection} Connection */
/** @typedef {import('./tandem.js').Client} Client */
/** Used by `Call`. */
export class Move {
    /**
     * @param {Client} client
     * @param {string} id Of the call that is left.
     * @param {Connection} link With the other.
     */
    constructor(client: Client, id: string, link: Connection);
    id: string;
    link: import("./connection.js").Connection;
    /** What is left has ended before. */
    isOver: boolean;
    /**
     * What an event says of it. `done`: it is no news for the call. A reason: the room is not reached.
     * @param {string} now The id of the call by now.
     * @param {string} of The id of the call that the event is of.
     * @param {string} name
     * @param {any} data
     * @returns {{ done: boolean, reason?: string }}
     */
    told(now: string, of: string, name: string, data: any): {
        done: boolean;
        reason?: string;
    };
    /**
     * Nothing of what is left goes on.
     * @param {string} now The id of the call by now.
     */
    leave(now: string): void;
    #private;
}
export type Connection = import("./connection.js").Connection;
export type Client = import("./tandem.js").Client;
