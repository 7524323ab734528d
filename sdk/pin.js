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
  /** @type {Promise<Asked | null | undefined>} */
  const judged = new Promise((resolve) => {
    /** @type {(() => void)[]} */
    const listeners = [];
    const done = (/** @type {Asked | null | undefined} */ asked) => {
      for (const end of listeners) end();
      resolve(asked);
    };
    listeners.push(call.on('pin', done), call.on('ended', () => done(undefined)));
  });
  await call.sendDigits(`${pin}#`);
  const asked = await judged;
  if (asked === null) return;
  if (!asked) throw new TandemError('ended', 'The call has ended.');
  const again = asked.left === 1 ? 'once more' : `${asked.left} times more`;
  throw new TandemError('wrong-pin', asked.left ? `The PIN was wrong. It may be tried ${again}.` : 'The PIN was wrong too often.');
}
