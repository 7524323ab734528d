// A connection of a call, with the other or with the node: a microphone, what is heard, and what both tell each other to find a way.

import { Emitter, TandemError, pause } from './base.js';

/** @typedef {import('./tandem.js').Client} Client */

/** The codec of voices that are forwarded: a description with all others would be too long. */
function opus() {
  const all = RTCRtpReceiver.getCapabilities?.('audio')?.codecs ?? [];
  return all.filter(({ mimeType }) => /^audio\/opus$/i.test(mimeType));
}

/**
 * Used by `Call`. Events: `candidate` (one more of ours), `stream` (what is heard is there, or more of it), `state` (of the connection).
 */
export class Connection extends Emitter {
  /** @type {Client} */
  #client;
  /** @type {RTCIceCandidateInit[]} */
  #gathered = [];
  #telling = false;
  /** @type {RTCIceCandidateInit[]} */
  #early = [];
  /** @type {MediaStreamTrack[]} */
  #coming = [];
  /** The number of our offer that waits for its answer. @type {Promise<number | null> | null} */
  #offered = null;
  #hasRelay = false;
  /** What a TURN server has refused. */
  #refusal = '';

  /**
   * @param {Client} client
   * @param {RTCConfiguration} configuration
   * @param {MediaStreamTrack} track
   */
  constructor(client, configuration, track) {
    super();
    this.#client = client;
    this.pc = new RTCPeerConnection(configuration);
    /** Our microphone. */
    this.track = track;
    /** @type {RTCRtpSender | null} */
    this.sender = null;
    /** What is heard. In a room that forwards voices it has a track for all others, and one for each of those who speak at once. @type {MediaStream | null} */
    this.stream = null;
    this.pc.addEventListener('icecandidate', ({ candidate }) => {
      if (candidate) this.#gathered.push(candidate.toJSON());
      if (candidate?.type === 'relay') this.#hasRelay = true;
      this.emit('candidate');
    });
    this.pc.addEventListener('icecandidateerror', ({ url, errorCode, errorText }) => {
      // 701 is not the server's: it cannot be reached.
      if (url?.startsWith('turn') && errorCode < 700) this.#refusal = `${errorCode} ${errorText}`.replace(/[ .]*$/, '');
    });
    this.pc.addEventListener('track', ({ track: coming }) => {
      if (coming.kind === 'audio' && !this.#coming.includes(coming)) this.#coming.push(coming);
    });
    this.pc.addEventListener('connectionstatechange', () => this.emit('state'));
  }

  /**
   * One with a microphone, and no lines yet.
   * @param {Client} client
   * @returns {Promise<Connection>}
   */
  static async open(client) {
    const taken = client.microphone();
    try {
      const [configuration, track] = await Promise.all([client.ice(), taken]);
      return new Connection(client, configuration, track);
    } catch (error) {
      // Without keys no microphone is to stay on.
      taken.then((track) => track.stop(), () => {});
      throw error;
    }
  }

  /**
   * The lines for sound: that of the microphone, behind the other's offer if there is one, and so many for voices that are forwarded.
   * @param {RTCSessionDescriptionInit | undefined} offer
   * @param {number} voices
   */
  async begin(offer, voices) {
    if (offer) await this.remote(offer);
    this.sender = this.pc.addTrack(this.track, new MediaStream([this.track]));
    const usual = opus();
    for (let nth = 0; nth < voices; nth += 1) {
      const line = this.pc.addTransceiver('audio', { direction: 'recvonly' });
      if (usual.length > 0) line.setCodecPreferences?.(usual);
    }
  }

  /** Our description: an offer, or the answer where one waits. */
  async local() {
    await this.pc.setLocalDescription();
    return this.pc.localDescription?.sdp;
  }

  /** @param {RTCSessionDescriptionInit} description */
  async remote(description) {
    const before = this.#coming.length;
    await this.pc.setRemoteDescription(description);
    if (this.#coming.length > before) {
      this.stream = new MediaStream(this.#coming);
      this.emit('stream');
    }
    await this.candidates(this.#early.splice(0));
  }

  /**
   * Offers another path (ICE restart, RFC 8445 9), with keys of now.
   * @param {string} id Of the call.
   */
  async restart(id) {
    if (this.pc.signalingState !== 'stable') return;
    this.pc.setConfiguration(await this.#client.ice());
    this.pc.restartIce();
    const offer = await this.local();
    this.#offered = this.#client.ask('POST', `/v1/calls/${id}/offer`, { offer }).then(({ revision }) => revision);
    try {
      await this.#offered;
    } catch (error) {
      // The other's offer came first, and takes the place of ours.
      await this.rollback();
      if (!(error instanceof TandemError) || error.kind !== 'glare') throw error;
    }
  }

  /**
   * The other has answered our offer of this number.
   * @param {string} sdp
   * @param {number} revision
   */
  async answered(sdp, revision) {
    if ((await this.#offered) !== revision) return;
    this.#offered = null;
    await this.remote({ type: 'answer', sdp });
  }

  /**
   * Answers an offer of the other.
   * @param {string} id Of the call.
   * @param {string} sdp
   * @param {number} revision
   */
  async answer(id, sdp, revision) {
    // An offer of our own that waits is rolled back by this (RFC 8829 4.1.10.2).
    await this.remote({ type: 'offer', sdp });
    const answer = await this.local();
    await this.#client.ask('POST', `/v1/calls/${id}/answer`, { answer, revision });
  }

  /** What was offered is withdrawn. */
  async rollback() {
    this.#offered = null;
    if (this.pc.signalingState === 'have-local-offer') await this.pc.setLocalDescription({ type: 'rollback' });
  }

  /** @param {RTCIceCandidateInit[]} candidates */
  async candidates(candidates) {
    if (!this.pc.remoteDescription) {
      this.#early.push(...candidates);
      return;
    }
    for (const candidate of candidates) {
      // One that the browser does not take (another offer's, a kind that it does not know) is no harm.
      await this.pc.addIceCandidate(candidate).catch(() => {});
    }
  }

  /**
   * Tells the other our candidates, several at once. The node needs none (RFC 8445 2.5).
   * @param {string} id Of the call.
   */
  async tell(id) {
    if (this.#telling || !this.pc.localDescription) return;
    this.#telling = true;
    await pause(20);
    try {
      while (this.#gathered.length > 0 && this.pc.signalingState !== 'closed') {
        const candidates = this.#gathered.splice(0, 32);
        await this.#client.ask('POST', `/v1/calls/${id}/candidates`, { candidates });
      }
    } catch {
      // The call is over, or these are too many: what was told has to do.
    } finally {
      this.#telling = false;
    }
  }

  /** What keeps the two apart, as far as it is seen from here. */
  get apart() {
    if (!this.#client.relay) return 'a firewall keeps the two apart, and the operator has no TURN server (api.turn). From another network it may work.';
    if (this.#hasRelay) return 'the TURN server is reached, and does not reach the other.';
    if (this.#refusal) return `a firewall keeps the two apart, and the TURN server has refused to help (${this.#refusal}).`;
    return 'a firewall keeps the two apart, and lets nothing through to the TURN server either, be it UDP, TCP or TLS.';
  }

  /** Nothing is sent or heard any more. */
  close() {
    this.pc.close();
    this.track.stop();
  }
}
