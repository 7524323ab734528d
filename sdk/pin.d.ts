/** @typedef {import('./call.js').Call} Call */
/** @typedef {{ wrong: number, left: number }} Asked How often it was wrong, and may be tried yet. */
/**
 * Used by `Call`. Done when the PIN was right.
 * @param {Call} call
 * @param {string} pin
 */
export function give(call: Call, pin: string): Promise<void>;
export type Call = import("./call.js").Call;
/**
 * How often it was wrong, and may be tried yet.
 */
export type Asked = {
    wrong: number;
    left: number;
};
