// The video of a call: what is sent of camera and screen, and who is seen.
//
// In a room a connection has lines for the camera, for a screen, and as many further ones as others are to be seen: the node says who is seen on
// which, and offers nothing anew when somebody comes or goes. Between two clients each has a line for the camera and one for the screen, on
// which the other sends too.

import { Emitter, TandemError, pause } from './base.js';
import { camera, screen } from './devices.js';

/** @typedef {import('./base.js').Member} Member */
/** @typedef {import('./base.js').Seen} Seen */
/** @typedef {import('./tandem.js').Client} Client */

/** How many others are seen at once, if the page says nothing. */
const PLACES = 8;
/** Layers of a camera, of which each who looks gets the one that he has room for. Of a small picture Chromium sends the first ones only. */
const LAYERS = [
  { rid: 'h', maxBitrate: 1_500_000 },
  { rid: 'm', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'l', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
];
const SCREEN = [{ maxBitrate: 2_500_000 }];
/** How often it is looked whether the other of two shows something, and for how long he may show nothing, in milliseconds. */
const LOOK = 500;
const DARK = 2_000;
/** So long a camera is black before it is off, so that nobody keeps its last picture. */
const BLACK = 300;

/** @typedef {{ camera: RTCRtpTransceiver | null, screen: RTCRtpTransceiver | null, isRoom: boolean }} Lines */

/** The codecs that a node forwards: a description with all others would be too long. */
function codecs() {
  const all = RTCRtpReceiver.getCapabilities?.('video')?.codecs ?? [];
  const isUsual = (/** @type {{ mimeType: string, sdpFmtpLine?: string }} */ { mimeType, sdpFmtpLine = '' }) => {
    if (/^video\/h264$/i.test(mimeType)) return /packetization-mode=1/.test(sdpFmtpLine) && /profile-level-id=42e0/i.test(sdpFmtpLine);
    return /^video\/(vp8|rtx)$/i.test(mimeType);
  };
  return all.filter(isUsual);
}

/**
 * Used by `Call`. Events: `video`, `members`, `speaking`, `camera` (track), `screen` (track).
 */
export class Video extends Emitter {
  /** @type {Client} */
  #client;
  /** Of each connection. @type {WeakMap<RTCPeerConnection, Lines>} */
  #lines = new WeakMap();
  /** @type {RTCPeerConnection | null} */
  #pc = null;
  /** As the node has told. @type {{ mid: string, member: number, name: string, screen: boolean }[]} */
  #slots = [];
  /** Of two: what of the other's comes now, by `mid`. @type {Set<string>} */
  #bright = new Set();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #looks;
  #peer = '';
  /** One thing at a time with each. @type {{ camera: Promise<unknown>, screen: Promise<unknown> }} */
  #turns = { camera: Promise.resolve(), screen: Promise.resolve() };
  #isOver = false;

  /**
   * @param {Client} client
   */
  constructor(client) {
    super();
    this.#client = client;
    /** Our own camera, where it is on. @type {MediaStreamTrack | null} */
    this.camera = null;
    /** Our own screen, where it is shared. @type {MediaStreamTrack | null} */
    this.screen = null;
    /** @type {Member[]} */
    this.members = [];
    /** Those who speak. @type {number[]} */
    this.speaking = [];
  }

  /**
   * A connection has its lines: before its offer, or behind the other's.
   * @param {RTCPeerConnection} pc
   * @param {{ isRoom: boolean, isAnswer: boolean, peer: string }} kind
   */
  async open(pc, { isRoom, isAnswer, peer }) {
    /** @type {Lines} */
    const lines = { camera: null, screen: null, isRoom };
    this.#peer = peer;
    if (isAnswer) {
      const offered = pc.getTransceivers().filter(({ receiver }) => receiver.track.kind === 'video');
      // A room that calls takes a camera, and shows others on the further lines.
      const own = offered.slice(0, isRoom ? 1 : 2);
      [lines.camera = null, lines.screen = null] = own;
      for (const line of own) line.direction = 'sendrecv';
    } else {
      lines.camera = pc.addTransceiver('video', { direction: 'sendrecv', sendEncodings: isRoom ? LAYERS : [] });
      lines.screen = pc.addTransceiver('video', { direction: isRoom ? 'sendonly' : 'sendrecv', sendEncodings: SCREEN });
      const places = Math.min(Math.max(this.#client.options.places ?? PLACES, 1), 16);
      for (let nth = 1; isRoom && nth < places; nth += 1) pc.addTransceiver('video', { direction: 'recvonly' });
      const usual = codecs();
      for (const line of pc.getTransceivers()) {
        if (line.receiver.track.kind === 'video' && usual.length > 0) line.setCodecPreferences?.(usual);
      }
    }
    this.#lines.set(pc, lines);
    await lines.camera?.sender.replaceTrack(this.camera);
    await lines.screen?.sender.replaceTrack(this.screen);
  }

  /**
   * This is the connection that is looked at from now on.
   * @param {RTCPeerConnection | null} pc
   */
  use(pc) {
    this.#pc = pc;
    clearInterval(this.#looks);
    [this.#slots, this.members, this.speaking] = [[], [], []];
    this.#bright.clear();
    const lines = pc && this.#lines.get(pc);
    if (lines && !lines.isRoom) this.#looks = setInterval(() => this.#look(), LOOK);
    // What was shown or shown no longer since it got its lines.
    for (const which of /** @type {const} */ (['camera', 'screen'])) {
      const line = lines?.[which];
      if (line && line.sender.track !== this[which]) this.#send(which).catch(() => {});
    }
    for (const event of ['video', 'members', 'speaking']) this.emit(event);
  }

  /** It is over: nothing is sent any more. */
  close() {
    this.#isOver = true;
    for (const track of [this.camera, this.screen]) track?.stop();
    [this.camera, this.screen] = [null, null];
    this.use(null);
  }

  /**
   * Those who are seen now.
   * @returns {Seen[]}
   */
  get seen() {
    const pc = this.#pc;
    const lines = pc && this.#lines.get(pc);
    if (!lines) return [];
    const track = (/** @type {string} */ mid) => pc.getTransceivers().find((line) => line.mid === mid)?.receiver.track;
    if (lines.isRoom) {
      return this.#slots.flatMap((slot) => {
        const own = track(slot.mid);
        return own ? [{ ...slot, track: own }] : [];
      });
    }
    return [lines.screen, lines.camera].flatMap((line) => {
      if (!line?.mid || !this.#bright.has(line.mid)) return [];
      return [{ mid: line.mid, member: 0, name: this.#peer, screen: line === lines.screen, track: line.receiver.track }];
    });
  }

  /**
   * What the node says of the room.
   * @param {string} name
   * @param {any} data
   */
  told(name, data) {
    if (name === 'call.slots') {
      this.#slots = data.slots;
      this.emit('video');
    } else if (name === 'call.speaking') {
      this.speaking = data.speaking;
      this.emit('speaking');
    } else if (name === 'call.members') {
      this.members = data.members.map((/** @type {any} */ member) => ({ ...member, me: member.id === data.me }));
      this.emit('members');
    }
  }

  /**
   * The camera is shown from now on, or no longer.
   * @param {boolean} on
   * @returns {Promise<MediaStreamTrack | null>}
   */
  showCamera(on) {
    return this.#inTurn('camera', async () => (on && this.camera) || this.#show('camera', on ? this.#take : null));
  }

  /**
   * A screen, a window or a tab is shared from now on, or no longer.
   * @param {boolean} on
   * @returns {Promise<MediaStreamTrack | null>}
   */
  shareScreen(on) {
    return this.#inTurn('screen', () => this.#show('screen', on ? screen : null));
  }

  /** Takes the camera that is chosen now. */
  async switchCamera() {
    await this.#inTurn('camera', async () => this.camera && this.#show('camera', this.#take));
  }

  #take = () => camera(this.#client.options.video ?? true, this.#client.chosen.camera);

  /**
   * Who clicks twice while the browser asks is not to have two cameras, of which he sees one.
   * @param {'camera' | 'screen'} which
   * @param {() => Promise<MediaStreamTrack | null>} work
   */
  #inTurn(which, work) {
    const turn = this.#turns[which].then(work);
    this.#turns[which] = turn.catch(() => {});
    return turn;
  }

  /**
   * What is taken is sent, or nothing any more. While the browser asks the call may end, or move into a room.
   * @param {'camera' | 'screen'} which
   * @param {(() => Promise<MediaStreamTrack>) | null} take
   * @returns {Promise<MediaStreamTrack | null>}
   */
  async #show(which, take) {
    this.#line(which);
    const track = take && (await take());
    if (this.#isOver) {
      track?.stop();
      throw new TandemError('ended', 'The call has ended.');
    }
    const before = this[which];
    this[which] = track;
    this.#follow(which, track);
    this.emit(which, track);
    try {
      if (!track && before) {
        before.enabled = false;
        await pause(BLACK);
      }
      await this.#send(which);
    } catch (error) {
      track?.stop();
      if (track && this[which] === track) {
        this[which] = null;
        this.emit(which, null);
      }
      throw error;
    } finally {
      before?.stop();
    }
    return track;
  }

  /**
   * By the line of the connection that is looked at: another one that came meanwhile has sent it already.
   * @param {'camera' | 'screen'} which
   */
  async #send(which) {
    if (this.#isOver) return;
    const line = this.#line(which);
    try {
      await line.sender.replaceTrack(this[which]);
    } catch (error) {
      if (!this.#isOver && this.#line(which) === line) throw error;
    }
  }

  /**
   * @param {'camera' | 'screen'} which
   * @returns {RTCRtpTransceiver}
   */
  #line(which) {
    const lines = this.#pc && this.#lines.get(this.#pc);
    const line = lines?.[which];
    if (!line && lines?.camera) throw new TandemError('no-video', 'A room that has called this page takes no screen: call the room to share one.');
    if (!line) throw new TandemError('no-video', 'This call has no video: those with a room have, and those between two pages.');
    return line;
  }

  /**
   * The browser may end it: a camera is unplugged, a bar says "stop sharing".
   * @param {'camera' | 'screen'} which
   * @param {MediaStreamTrack | null} track
   */
  #follow(which, track) {
    const end = async () => (track === this[which] ? this.#show(which, null) : null);
    track?.addEventListener('ended', () => this.#inTurn(which, end).catch(() => {}));
  }

  /** Of two: nobody says when the other shows something; packets do. */
  #look() {
    const lines = this.#pc && this.#lines.get(this.#pc);
    if (!lines) return;
    const bright = new Set();
    for (const line of [lines.camera, lines.screen]) {
      const last = line?.receiver.getSynchronizationSources?.()[0]?.timestamp ?? 0;
      if (line?.mid && performance.timeOrigin + performance.now() - absolute(last) < DARK) bright.add(line.mid);
    }
    if ([...bright].join() === [...this.#bright].join()) return;
    this.#bright = bright;
    this.emit('video');
  }
}

/**
 * Browsers count from 1970, or from the beginning of the page.
 * @param {number} timestamp Milliseconds.
 */
function absolute(timestamp) {
  return timestamp < performance.timeOrigin ? timestamp + performance.timeOrigin : timestamp;
}
