// A call that moves into a room: what it leaves goes on until the room is heard.

/** @typedef {import('./connection.js').Connection} Connection */
/** @typedef {import('./tandem.js').Client} Client */

/** Used by `Call`. */
export class Move {
  /** @type {Client} */
  #client;

  /**
   * @param {Client} client
   * @param {string} id Of the call that is left.
   * @param {Connection} link With the other.
   */
  constructor(client, id, link) {
    this.#client = client;
    this.id = id;
    this.link = link;
    /** What is left has ended before. */
    this.isOver = false;
  }

  /**
   * What an event says of it. `done`: it is no news for the call. A reason: the room is not reached.
   * @param {string} now The id of the call by now.
   * @param {string} of The id of the call that the event is of.
   * @param {string} name
   * @param {any} data
   * @returns {{ done: boolean, reason?: string }}
   */
  told(now, of, name, data) {
    if (of !== this.id) {
      const done = name === 'call.ended';
      return done ? { done, reason: data.detail ?? data.reason } : { done };
    }
    if (name === 'call.ended' && (of !== now || data.reason === 'moved')) {
      // The other is in the room already.
      this.isOver = true;
      return { done: true };
    }
    if (name === 'call.unmoved') return { done: true, reason: 'nobody came to the room' };
    // What still comes of the call that is left says nothing of the new one.
    return { done: of !== now };
  }

  /**
   * Nothing of what is left goes on.
   * @param {string} now The id of the call by now.
   */
  leave(now) {
    this.link.close();
    if (this.id !== now) forget(this.#client, this.id);
  }
}

/**
 * A call of ours is over for us.
 * @param {Client} client
 * @param {string} id
 */
export function forget(client, id) {
  client.calls.delete(id);
  client.ask('POST', `/v1/calls/${id}/hangup`).catch(() => {});
}
