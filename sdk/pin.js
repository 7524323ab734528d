// The PIN of a room, given in words of a page where phones press keys.

import { TandemError } from './base.js';

/** @typedef {import('./call.js').Call} Call */
/** @typedef {{ wrong: number, left: number }} Asked How often it was wrong, and may be tried yet. */

/**
 * Used by `Call`. Done when the PIN was right.
 * @param {Call} call
 * @param {string} pin
 */
export async function give(call, pin) {
  if (!call.pin) throw new TandemError('wrong-moment', 'No PIN is asked for.');
  if (!/^\d{0,16}$/.test(pin)) throw new TandemError('wrong-pin', 'A PIN has digits, 16 at most.');
  const asked = await verdict(call, () => call.sendDigits(`${pin}#`));
  if (asked === null) return;
  if (!asked) throw new TandemError('ended', 'The call has ended.');
  const again = asked.left === 1 ? 'once more' : `${asked.left} times more`;
  throw new TandemError('wrong-pin', asked.left ? `The PIN was wrong. It may be tried ${again}.` : 'The PIN was wrong too often.');
}

/**
 * What the room says next of the PIN; undefined where the call ends.
 * @param {Call} call
 * @param {() => Promise<void>} send
 * @returns {Promise<Asked | null | undefined>}
 */
async function verdict(call, send) {
  /** @type {(() => void)[]} */
  let ends = [];
  const before = call.pin?.wrong;
  try {
    const judged = new Promise((resolve) => {
      // What is told besides is how things are.
      const asked = (/** @type {Asked | null} */ now) => now?.wrong === before || resolve(now);
      ends = [call.on('pin', asked), call.on('ended', () => resolve(undefined))];
    });
    await send();
    return await judged;
  } finally {
    for (const end of ends) end();
  }
}
