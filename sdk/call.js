// A call.

import { Emitter, TandemError, nameOf, targetOf } from './base.js';
import { Connection } from './connection.js';
import { Move, forget } from './move.js';
import { give } from './pin.js';
import { measure } from './quality.js';
import { Sound } from './sound.js';
import { Video } from './video.js';

/** @typedef {import('./base.js').Target} Target */
/** @typedef {import('./base.js').State} State */
/** @typedef {import('./base.js').Quality} Quality */
/** @typedef {import('./base.js').CallView} CallView */
/** @typedef {import('./base.js').MemberView} MemberView */
/** @typedef {import('./base.js').Member} Member */
/** @typedef {import('./base.js').Seen} Seen */
/** @typedef {import('./tandem.js').Client} Client */

/** How long a path may be interrupted before another is looked for. */
const INTERRUPTED = 3_000;
/** So much before keys for TURN end others are taken; for keys that end sooner, after a while. Within a minute of the end `Client.ice` asks for new ones. */
const RENEW = 50_000;
const RENEW_SOON = 10_000;

/**
 * A call with one other. With a client media goes directly; with a phone number, a SIP address or a room it goes by the node. Where a third
 * is added, a call between clients becomes one with a room.
 *
 * Events: `state` (state), `ringing` (it rings at a number), `stream` (MediaStream; before the answer too), `ended` (reason, by, a sentence
 * that says more), `updated`, `dtmf` (digits), `pin` (the room wants its PIN: how often it was `wrong`, and may be tried yet, `left`, at 0 of which it ends the call; null when it was
 * right), `moved` (room), `participant` and `transfer` (status of SIP), `removed` (whom, status of SIP), `path` (what the connection is doing), `blocked` (the browser plays
 * nothing before a gesture: call `play()` from one), `trouble` (error: what keeps the two apart, in words; another way is looked for). Of what is
 * seen: `video` (all who are seen now), `members` (all in the room), `speaking` (the ids of those who speak), `camera` and `screen` (our own
 * track, or null: the browser may end it).
 */
export class Call extends Emitter {
  /** @type {Client} */
  #client;
  /** @type {Connection | null} */
  #link = null;
  /** @type {string | null} */
  #offer = null;
  /** It has rung here. */
  #isCalled = false;
  /** The other's candidates that came before there was a connection. @type {RTCIceCandidateInit[]} */
  #early = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #interrupted;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #renewal;
  #sound = new Sound();
  /** What goes on until the room is heard. @type {Move | null} */
  #leaving = null;
  /** One negotiation at a time. @type {Promise<unknown>} */
  #turn = Promise.resolve();
  #before = { received: 0, lost: 0 };
  /** How it ended. @type {[string, string | null, string] | null} */
  #end = null;
  /** @type {Video} */
  #video;

  /**
   * @param {Client} client
   * @param {'incoming' | 'outgoing'} direction
   * @param {Partial<MemberView>} peer
   */
  constructor(client, direction, peer) {
    super();
    this.#client = client;
    this.#video = new Video(client);
    this.#video.on('video', () => this.emit('video', this.videos));
    this.#video.on('members', () => this.emit('members', this.members));
    this.#video.on('speaking', () => this.emit('speaking', this.speaking));
    this.#sound.on('blocked', () => this.emit('blocked'));
    for (const own of ['camera', 'screen']) this.#video.on(own, (track) => this.emit(own, track));
    this.id = '';
    this.direction = direction;
    /** The other's name, number, address, or the room. */
    this.peer = nameOf(peer);
    /** What the other calls itself, where that is no client. */
    this.display = peer.display ?? '';
    /** The number of the room, where it is with one. */
    this.room = peer.room ?? '';
    /** Media goes directly to the other. */
    this.direct = peer.client !== undefined;
    /** @type {State} */
    this.state = 'ringing';
    this.muted = false;
    this.held = false;
    /** What the other says of himself. */
    this.remote = { muted: false, holds: false };
    /** The room wants its PIN: how often it was wrong, and may be tried yet. @type {import('./pin.js').Asked | null} */
    this.pin = null;
    /** What the other says. @type {MediaStream | null} */
    this.stream = null;
    /** @type {string | null} */
    this.reason = null;
    /** More of the reason: a sentence, where there is one. */
    this.detail = '';
  }

  /**
   * Used by `Client.call`.
   * @param {Target} target
   */
  async start(target) {
    try {
      const link = await this.#open();
      await this.#client.startCall(this, { targets: [target], offer: await link.local() });
    } catch (error) {
      this.over('failed', null);
      throw error;
    }
  }

  /**
   * Used by the client: somebody calls.
   * @param {CallView} view
   */
  ring(view) {
    this.#isCalled = true;
    this.#offer = view.offer ?? null;
    this.id = view.id;
    this.#client.calls.set(this.id, this);
  }

  /**
   * Used by the client: somebody wants us in a room. It rings at nobody; who accepts calls the room.
   * @param {string} room
   */
  invited(room) {
    this.room = room;
    this.direct = false;
  }

  /** Takes the call. Done when the other knows. */
  async accept() {
    if (this.room && !this.id && this.state === 'ringing') return this.start({ room: this.room });
    if (this.direction !== 'incoming' || this.state !== 'ringing' || !this.#offer) {
      throw new TandemError('wrong-moment', 'The call is not one that can be accepted.');
    }
    try {
      const sdp = this.#offer;
      this.#offer = null;
      const link = await this.#open({ type: 'offer', sdp });
      const device = this.#client.device;
      await this.#client.ask('POST', `/v1/calls/${this.id}/accept`, { answer: await link.local(), device });
      this.#enter('connecting');
      this.named(this.id);
      this.#connected();
    } catch (error) {
      // Without a microphone it goes on ringing elsewhere; here it is over.
      this.over('failed', null);
      throw error;
    }
  }

  /** @param {'declined' | 'busy'} [reason] */
  async reject(reason = 'declined') {
    if (!this.id) return this.over(reason, this.#client.name);
    await this.#ending(this.#client.ask('POST', `/v1/calls/${this.id}/reject`, { reason }), reason);
  }

  /** Ends it, whatever it is doing. */
  async hangUp() {
    await this.#leave();
  }

  /** Used by the client, which closes: the other is not told that somebody has hung up. */
  async close() {
    await this.#leave({ reason: 'closed' });
  }

  /** @param {{ reason: 'closed' }} [why] */
  async #leave(why) {
    if (this.state === 'ended') return;
    const told = this.id ? this.#client.ask('POST', `/v1/calls/${this.id}/hangup`, why) : Promise.resolve();
    await this.#ending(told, 'hung-up');
  }

  /**
   * @param {Promise<unknown>} told
   * @param {string} reason
   */
  async #ending(told, reason) {
    this.over(reason, this.#client.name);
    try {
      await told;
    } catch (error) {
      // It was over already.
      if (!(error instanceof TandemError) || error.kind !== 'no-such-call') throw error;
    }
  }

  /** @param {boolean} [on] */
  async mute(on = true) {
    this.muted = on;
    this.#heard();
    await this.#client.ask('POST', `/v1/calls/${this.id}/mute`, { mute: on });
  }

  /**
   * On hold neither hears the other. Who is called by the node hears its music.
   * @param {boolean} [on]
   */
  async hold(on = true) {
    const before = this.held;
    this.held = on;
    this.#heard();
    try {
      await this.#client.ask('POST', `/v1/calls/${this.id}/hold`, { hold: on });
    } catch (error) {
      if (this.held === on) this.held = before;
      this.#heard();
      throw error;
    }
  }

  /**
   * Digits to the other's page, and as tones where the connection takes them; to all others as tones, which the node makes.
   * @param {string} digits
   */
  async sendDigits(digits) {
    const dtmf = this.#link?.sender?.dtmf;
    if (this.direct && dtmf?.canInsertDTMF) dtmf.insertDTMF(digits);
    await this.#client.ask('POST', `/v1/calls/${this.id}/dtmf`, { digits });
  }

  /**
   * The same as `sendDigits`.
   * @param {string} digits
   */
  dtmf(digits) {
    return this.sendDigits(digits);
  }

  /**
   * Gives the PIN that a room has asked for (`pin`). Done when it was right; else a `TandemError` says so, of the kind `wrong-pin`.
   * @param {string} pin Digits. Empty where only moderators have one.
   */
  async enterPin(pin) {
    await give(this, pin);
  }

  /**
   * One more: a call between two clients moves into a room, where all hear each other. `participant` tells what became of a number that the
   * room calls.
   * @param {string | Target} target
   */
  async addParticipant(target) {
    await this.#client.ask('POST', `/v1/calls/${this.id}/participants`, { target: targetOf(target) });
  }

  /**
   * Somebody is sent away from the room that the call is with (or has moved into), by the rights of its moderators. `removed` tells what became of it.
   * @param {string | Target} target a client, a phone number or a SIP address, as it was added
   */
  async removeParticipant(target) {
    await this.#client.ask('POST', `/v1/calls/${this.id}/participants/remove`, { target: targetOf(target) });
  }

  /**
   * The other, who is no client, is made to call somebody else. `transfer` tells what became of it; where it was successful this call ends.
   * @param {string | Target} target
   */
  async transfer(target) {
    await this.#client.ask('POST', `/v1/calls/${this.id}/transfer`, { target: targetOf(target) });
  }

  /**
   * Those who are seen now, each with a track: in a room whom the node shows, in a call between two the other.
   * @returns {Seen[]}
   */
  get videos() {
    return this.#video.seen;
  }

  /**
   * Those who are in the room, this page too, in the order in which they came. None where more than 50 are in it.
   * @returns {Member[]}
   */
  get members() {
    return this.#video.members;
  }

  /**
   * The ids of those in the room who speak now.
   * @returns {number[]}
   */
  get speaking() {
    return this.#video.speaking;
  }

  /**
   * Our own camera, where it is on: for a preview.
   * @returns {MediaStreamTrack | null}
   */
  get ownCamera() {
    return this.#video.camera;
  }

  /**
   * Our own screen, where it is shared.
   * @returns {MediaStreamTrack | null}
   */
  get ownScreen() {
    return this.#video.screen;
  }

  /**
   * Shows the camera, or no longer. Calls with rooms have video, and those between two clients.
   * @param {boolean} [on]
   * @returns {Promise<MediaStreamTrack | null>} Our own, for a preview.
   */
  camera(on = true) {
    return this.#video.showCamera(on);
  }

  /**
   * Shares a screen, a window or a tab beside the camera, or no longer. To be called from a gesture: the browser asks which.
   * @param {boolean} [on]
   * @returns {Promise<MediaStreamTrack | null>}
   */
  shareScreen(on = true) {
    return this.#video.shareScreen(on);
  }

  /**
   * Plays what comes. To be called from a gesture after `blocked`. False where the browser does not.
   * @returns {Promise<boolean>}
   */
  async play() {
    if (!this.#sound.isOn || !this.stream) return false;
    return this.#sound.play(this.stream, this.#client.chosen.speaker);
  }

  /** Takes the devices that are chosen now. */
  async switchDevices() {
    await this.#sound.use(this.#client.chosen.speaker);
    if (!this.#link?.sender || this.state === 'ended') return;
    const track = await this.#client.microphone();
    // While the browser asks the call may end, or move into a room.
    const link = this.#link;
    try {
      await link.sender?.replaceTrack(track);
    } catch (error) {
      track.stop();
      throw error;
    }
    if (this.#link !== link || /** @type {string} */ (this.state) === 'ended') return track.stop();
    link.track.stop();
    link.track = track;
    this.#heard();
    await this.#video.switchCamera();
  }

  /**
   * How it goes.
   * @returns {Promise<Quality>}
   */
  async stats() {
    const { quality, counted } = await measure(this.#link?.pc ?? null, this.#before);
    this.#before = counted;
    return quality;
  }

  /** Looks for another path (ICE restart, RFC 8445 9). */
  restart() {
    if (this.state !== 'up' && this.state !== 'connecting') return;
    this.emit('path', 'restarting');
    this.#inTurn(async () => {
      try {
        await this.#link?.restart(this.id);
      } finally {
        this.#renew();
      }
    });
  }

  /**
   * Used by the client: an event.
   * @param {string} name
   * @param {any} data
   */
  told(name, data) {
    const named = typeof data.call === 'string' ? data.call : data.call.id;
    const left = this.#leaving?.told(this.id, named, name, data);
    if (left?.done) {
      if (left.reason !== undefined) this.#stay(left.reason);
    } else if (name === 'call.moved') {
      this.#inTurn(() => this.#move(data.room));
    } else if (name === 'call.participant') {
      this.emit('participant', data.status);
    } else if (name === 'call.removed') {
      this.emit('removed', data.participant, data.status);
    } else if (name === 'call.ended') {
      this.over(data.reason, data.by, data.detail);
    } else if (name === 'call.accepted') {
      this.#accepted(data);
    } else if (name === 'call.ringing') {
      this.emit('ringing');
    } else if (name === 'call.early') {
      this.#inTurn(() => this.#remote({ type: 'answer', sdp: data.answer }));
    } else if (name === 'call.refused') {
      this.#inTurn(async () => this.#link?.rollback());
    } else if (name === 'call.transfer') {
      this.emit('transfer', data.status);
    } else if (name === 'call.candidates') {
      this.#inTurn(async () => (this.#link ? this.#link.candidates(data.candidates) : this.#early.push(...data.candidates)));
    } else if (name === 'call.offer') {
      this.#inTurn(() => this.#answer(data.offer, data.revision));
    } else if (name === 'call.answer') {
      this.#inTurn(async () => this.#link?.answered(data.answer, data.revision));
    } else if (name === 'call.pin') {
      // A stream that goes on says it once more.
      if (data.asked && data.wrong === this.pin?.wrong) return;
      const told = data.wrong === undefined ? null : { wrong: data.wrong, left: data.left };
      this.pin = data.asked ? told : null;
      this.emit('pin', told);
    } else if (name === 'call.members' && this.pin) {
      // Who sees the others is inside: that the PIN was right is not told anew on a new stream.
      this.pin = null;
      this.emit('pin', null);
      this.#video.told(name, data);
    } else if (name === 'call.updated') {
      this.#views(data.call);
      this.emit('updated');
    } else if (name === 'call.dtmf') {
      this.emit('dtmf', data.digits);
    } else {
      this.#video.told(name, data);
    }
  }

  /**
   * Used by the client, where events were lost.
   * @param {CallView} view
   */
  resync(view) {
    this.#views(view);
    if (view.state === 'up' && this.direction === 'outgoing' && this.state === 'ringing') {
      // The answer is among what was lost: it is asked for again.
      this.#enter('connecting');
      this.#inTurn(async () => this.#link?.rollback());
      this.restart();
    } else if (view.state === 'up' && view.offer && view.revision && this.state !== 'ringing') {
      const { offer, revision } = view;
      this.#inTurn(() => this.#answer(offer, revision));
    } else if (view.state === 'up') {
      this.restart();
    }
  }

  /**
   * Used by the client: it is over.
   * @param {string} reason
   * @param {string | null} by
   * @param {string} [detail]
   */
  over(reason, by, detail = '') {
    if (this.state === 'ended') return;
    this.reason = reason;
    this.detail = detail;
    clearTimeout(this.#interrupted);
    clearTimeout(this.#renewal);
    this.#video.close();
    this.#link?.close();
    this.#leaving?.leave(this.id);
    this.#leaving = null;
    this.#sound.close();
    this.#client.calls.delete(this.id);
    this.#enter('ended');
    this.#end = [reason, by, detail];
    this.emit('ended', reason, by, detail);
  }

  /**
   * The same; who asks for the end of a call that is over, or for a PIN that is asked for, is told of it too: either may have come before anybody
   * could ask.
   * @param {string} name
   * @param {(...details: any[]) => void} listener
   * @returns {() => void}
   */
  on(name, listener) {
    const end = this.#end;
    if (name === 'ended' && end) queueMicrotask(() => listener(...end));
    if (name === 'pin' && this.pin) queueMicrotask(() => listener(this.pin));
    return super.on(name, listener);
  }

  /** @param {CallView} view */
  #views(view) {
    const { muted, holds } = this.direction === 'outgoing' ? view.to : view.from;
    this.remote = { muted, holds };
  }

  /**
   * Into a room: a connection to the node beside the one to the other, which goes on until this one is there.
   * @param {string} room
   */
  async #move(room) {
    if (!this.#link || this.#leaving || this.state === 'ended') return;
    const left = new Move(this.#client, this.id, this.#link);
    this.#leaving = left;
    this.direct = false;
    this.room = room;
    try {
      const link = await this.#open();
      if (this.#leaving === left) await this.#client.startCall(this, { targets: [{ room }], offer: await link.local() });
      // It may have been taken back meanwhile.
      if (this.#leaving !== left) this.#back(left, 'nobody came to the room');
    } catch (error) {
      this.#back(left, /** @type {Error} */ (error).message);
    }
  }

  /**
   * The room is not reached.
   * @param {string} why
   */
  #stay(why) {
    if (this.#leaving) this.#back(this.#leaving, why);
  }

  /**
   * Without the room there is still the other, unless he has left.
   * @param {Move} left
   * @param {string} why
   */
  #back(left, why) {
    if (this.state === 'ended') return;
    if (this.id !== left.id) forget(this.#client, this.id);
    this.id = left.id;
    if (left.isOver) return this.over('failed', null, why);
    this.#leaving = null;
    if (this.#link !== left.link) this.#link?.close();
    this.#link = left.link;
    this.#video.use(left.link.pc);
    this.stream = left.link.stream;
    [this.direct, this.room] = [true, ''];
    this.#heard();
    this.emit('path', `failed: ${why}`);
    this.#connected();
  }

  /** The room is heard: the other connection ends. */
  #arrived() {
    const left = this.#leaving;
    if (!left || this.id === left.id) return;
    this.#leaving = null;
    left.leave(this.id);
    this.peer = this.room;
    this.play();
    this.emit('moved', this.room);
  }

  /** @param {any} data */
  #accepted(data) {
    if (this.#leaving) {
      this.#inTurn(() => this.#remote({ type: 'answer', sdp: data.answer }).catch((error) => this.#stay(error.message)));
      return;
    }
    if (this.#isCalled) {
      // Our own device knows; another has taken it.
      if (data.device !== this.#client.device) this.over('answered-elsewhere', this.#client.name);
      return;
    }
    this.#enter('connecting');
    this.#inTurn(async () => {
      // What was heard before is what was agreed.
      if (this.#link?.pc.signalingState === 'have-local-offer') await this.#remote({ type: 'answer', sdp: data.answer });
      this.#connected();
    });
  }

  /**
   * A connection with a microphone, behind the other's offer if there is one. With a room that forwards voices it has a line for each.
   * @param {RTCSessionDescriptionInit} [offer]
   */
  async #open(offer) {
    const voices = this.room && !offer ? this.#client.voices(this.room) : 0;
    const [link, places] = await Promise.all([Connection.open(this.#client), voices]);
    if (this.state === 'ended') {
      link.close();
      throw new TandemError('ended', 'The call has ended.');
    }
    this.#link = link;
    link.on('candidate', () => this.#tell());
    link.on('stream', () => this.#hears(link));
    link.on('state', () => this.#connected());
    await link.candidates(this.#early.splice(0));
    await link.begin(offer, places);
    this.#heard();
    if (this.direct || this.room) {
      await this.#video.open(link.pc, { isRoom: !this.direct, isAnswer: offer !== undefined, peer: this.peer });
      this.#video.use(link.pc);
    }
    return link;
  }

  /** @param {Connection} link */
  #hears(link) {
    if (link !== this.#link) return;
    this.stream = link.stream;
    // Who moves into a room hears the other until he is there.
    if (this.#leaving) return;
    if (this.stream && this.#client.options.play !== false) this.#sound.play(this.stream, this.#client.chosen.speaker);
    this.emit('stream', this.stream);
  }

  /** How the connection is. */
  #connected() {
    const state = this.#link?.pc.connectionState;
    clearTimeout(this.#interrupted);
    if (state === 'connected') this.#arrived();
    if (this.state !== 'connecting' && this.state !== 'up') return;
    this.emit('path', state);
    if (state === 'connected') {
      this.#renew();
      if (this.state === 'connecting') this.#enter('up');
    } else if (state === 'disconnected' || state === 'failed') {
      if (state === 'failed') this.emit('trouble', new TandemError('no-way', `No way to the other was found: ${this.#link?.apart}`));
      // The caller goes first, so that not both offer at once.
      const later = this.direction === 'incoming' ? 2_000 : 0;
      this.#interrupted = setTimeout(() => this.restart(), later + (state === 'failed' ? 0 : INTERRUPTED));
    }
  }

  /** A relay serves nobody for long whose keys have ended: what goes by it gets others before. */
  #renew() {
    clearTimeout(this.#renewal);
    const left = this.#client.keysEnd - Date.now();
    if (left === Infinity || this.state === 'ended') return;
    this.#renewal = setTimeout(async () => {
      const { quality } = await measure(this.#link?.pc ?? null, this.#before);
      if (quality.path?.local === 'relay') this.restart();
    }, Math.max(left - RENEW, RENEW_SOON));
  }

  /** @param {State} state */
  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit('state', state);
  }

  /** Who is muted, or on hold, says nothing; who is on hold hears nothing either. */
  #heard() {
    for (const link of [this.#link, this.#leaving?.link]) {
      if (link) link.track.enabled = !this.muted && !this.held;
    }
    this.#sound.mute(this.held);
  }

  /**
   * Used by the client: the call has a name.
   * @param {string} id
   */
  named(id) {
    const is_new = this.id !== id;
    this.id = id;
    if (this.state === 'ended') {
      // Hung up before it had a name.
      if (is_new) this.#client.ask('POST', `/v1/calls/${id}/hangup`).catch(() => {});
      return;
    }
    this.#client.calls.set(id, this);
    this.#tell();
  }

  /** Tells candidates once the call has a name and the other waits for them. */
  #tell() {
    const may = this.id && (this.direction === 'outgoing' || this.state !== 'ringing');
    if (this.direct && may) this.#link?.tell(this.id);
  }

  /** @param {RTCSessionDescriptionInit} description */
  async #remote(description) {
    if (this.state !== 'ended') await this.#link?.remote(description);
  }

  /**
   * @param {string} sdp
   * @param {number} revision
   */
  async #answer(sdp, revision) {
    if (this.state !== 'ended') await this.#link?.answer(this.id, sdp, revision);
  }

  /**
   * After what was begun before; what goes wrong then is told, and the next goes on.
   * @param {() => Promise<unknown>} work
   */
  #inTurn(work) {
    this.#turn = this.#turn.then(work).catch((error) => {
      if (this.state !== 'ended') this.emit('path', `failed: ${error.message}`);
    });
  }
}
