/** @typedef {import('./base.js').Quality} Quality */
/** @typedef {{ received: number, lost: number }} Counted Packets. */
/**
 * How it goes now; loss is that since `before`.
 * @param {RTCPeerConnection | null} pc
 * @param {Counted} before
 * @returns {Promise<{ quality: Quality, counted: Counted }>}
 */
export function measure(pc: RTCPeerConnection | null, before: Counted): Promise<{
    quality: Quality;
    counted: Counted;
}>;
export type Quality = import("./base.js").Quality;
/**
 * Packets.
 */
export type Counted = {
    received: number;
    lost: number;
};
