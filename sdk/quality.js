// How a call goes, out of what the browser counts.

/** @typedef {import('./base.js').Quality} Quality */
/** @typedef {{ received: number, lost: number }} Counted Packets. */

/**
 * How it goes now; loss is that since `before`.
 * @param {RTCPeerConnection | null} pc
 * @param {Counted} before
 * @returns {Promise<{ quality: Quality, counted: Counted }>}
 */
export async function measure(pc, before) {
  /** @type {Quality} */
  const quality = { mos: null, roundTrip: null, jitter: 0, loss: 0, received: 0, sent: 0, path: null };
  /** @type {Map<string, any>} */
  const reports = new Map(/** @type {any} */ (await pc?.getStats()) ?? []);
  let lost = 0;
  // Of all lines of sound: in a room that forwards voices each has some packets.
  const waited = { seconds: 0, samples: 0 };
  for (const report of reports.values()) {
    if (report.type === 'inbound-rtp' && report.kind === 'audio') {
      quality.received += report.packetsReceived ?? 0;
      quality.jitter = Math.max(quality.jitter, report.jitter ?? 0);
      lost += report.packetsLost ?? 0;
      waited.seconds += report.jitterBufferDelay ?? 0;
      waited.samples += report.jitterBufferEmittedCount ?? 0;
    } else if (report.type === 'outbound-rtp' && report.kind === 'audio') {
      quality.sent = report.packetsSent ?? 0;
    } else if (report.type === 'transport' && report.selectedCandidatePairId) {
      const pair = reports.get(report.selectedCandidatePairId);
      const [local, remote] = [reports.get(pair?.localCandidateId), reports.get(pair?.remoteCandidateId)];
      if (local && remote) {
        const relay = local.relayProtocol ?? null;
        quality.path = { local: local.candidateType, remote: remote.candidateType, protocol: local.protocol, relay };
        quality.roundTrip = pair.currentRoundTripTime ?? null;
      }
    }
  }
  const [got, gone] = [quality.received - before.received, Math.max(0, lost - before.lost)];
  quality.loss = got + gone > 0 ? gone / (got + gone) : 0;
  const buffer = waited.samples > 0 ? waited.seconds / waited.samples : 0;
  if (quality.received > 0) quality.mos = score(1000 * ((quality.roundTrip ?? 0) / 2 + buffer) + 20, quality.loss);
  return { quality, counted: { received: quality.received, lost } };
}

/**
 * ITU-T G.107 with what it has for Opus: 93.2 less delay (G.107 7.4, simplified) and loss (Ie 0, Bpl 15).
 * @param {number} delay Milliseconds from mouth to ear.
 * @param {number} loss 0 to 1.
 */
function score(delay, loss) {
  const late = 0.024 * delay + (delay > 177.3 ? 0.11 * (delay - 177.3) : 0);
  const lossy = (95 * 100 * loss) / (100 * loss + 15);
  const rating = Math.max(0, Math.min(100, 93.2 - late - lossy));
  return Math.round(100 * (1 + 0.035 * rating + 7e-6 * rating * (rating - 60) * (100 - rating))) / 100;
}
