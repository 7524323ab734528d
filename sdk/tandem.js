// Calls in a page, by Tandem's API. No dependencies, no build step:
//
//   import { connect } from 'https://NODE/sdk/tandem.js';
//   const client = await connect(token);          // or connect(() => fetchToken())
//   client.on('incoming', (call) => call.accept());
//   const call = await client.call('bob');        // or '+15551234', 'sip:bob@example.com', { room: '3000' }
//
// Media goes between two browsers directly; the node carries what they have to tell each other first. Numbers, SIP addresses and rooms are
// called by the node.

import { Call } from './call.js';
import { Emitter, TandemError, pause, refusal, targetOf } from './base.js';
import { devicesOf, microphone } from './devices.js';

export { Call, TandemError };

/** @typedef {import('./base.js').Token} Token */
/** @typedef {import('./base.js').Target} Target */
/** @typedef {import('./base.js').Options} Options */
/** @typedef {import('./base.js').Quality} Quality */
/** @typedef {import('./base.js').State} State */
/** @typedef {import('./base.js').Member} Member */
/** @typedef {import('./base.js').Seen} Seen */
/** @typedef {import('./base.js').CallView} CallView */

/** Without anything for so long the stream is taken for dead: the node says every 15 s that it is there. */
const SILENCE = 45_000;
/** How long the first event may take before a WebSocket is tried: something on the way may hold event streams back. */
const FIRST = 8_000;
/** How long an answer may take. */
const ANSWER = 8_000;
/** How long a request is sent again for. */
const AGAIN = 15_000;
/** How long a node that was never reached is looked for. */
const NEVER = 20_000;

/**
 * Connects a client to the node. Ready when the first event has come.
 * @param {Token} token
 * @param {Options} [options]
 * @returns {Promise<Client>}
 */
export async function connect(token, options = {}) {
  const client = new Client(token, options);
  await client.ready;
  return client;
}

/**
 * One who calls and is called.
 *
 * Events: `incoming` (call), `connected`, `disconnected` (error), `closed` (error or undefined), `devices`.
 */
export class Client extends Emitter {
  /** @type {Token} */
  #source;
  /** @type {string | null} */
  #token = null;
  /** @type {string | null} */
  #place = null;
  #closed = false;
  #stop = new AbortController();
  #attempts = 0;
  #begun = Date.now();
  /** @type {'events' | 'websocket'} */
  #transport;
  /** @type {{ servers: RTCIceServer[], until: number, relay: boolean } | null} */
  #turn = null;
  /** @type {(error?: unknown) => void} */
  #settle = () => {};

  /**
   * @param {Token} token
   * @param {Options} options
   */
  constructor(token, options) {
    super();
    this.#source = token;
    /** @type {Options} */
    this.options = options;
    this.url = (options.url ?? new URL('/', import.meta.url).href).replace(/\/$/, '');
    /** Which of this person's devices it is. */
    this.device = crypto.randomUUID();
    /** The name by which others call: known when it is connected. */
    this.name = '';
    /** @type {Map<string, Call>} */
    this.calls = new Map();
    /** @type {{ microphone?: string, camera?: string, speaker?: string }} */
    this.chosen = {};
    this.#transport = options.transport ?? 'events';
    /** Done with the first event. */
    this.ready = new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(error) : resolve(undefined));
    });
    // Whoever does not wait for it is told by `closed`.
    this.ready.catch(() => {});
    globalThis.addEventListener?.('online', this.#network);
    /** @type {any} */ (navigator).connection?.addEventListener?.('change', this.#network);
    navigator.mediaDevices?.addEventListener?.('devicechange', this.#devices);
    this.#listen();
  }

  /**
   * Calls somebody: a client by name, `+15551234`, `sip:bob@example.com`, `{ number: '101' }`, `{ room: '3000' }`. The call has begun when this
   * is done.
   * @param {string | Target | [string | Target]} target
   * @returns {Promise<Call>}
   */
  async call(target) {
    const [one] = Array.isArray(target) ? target : [target];
    const wanted = targetOf(one);
    const call = new Call(this, 'outgoing', wanted);
    await call.start(wanted);
    return call;
  }

  /** Ends everything. Done when the others have been told. */
  async close() {
    await this.#end();
  }

  /**
   * Microphones, cameras and speakers. They have names once one was allowed.
   * @returns {Promise<{ microphones: MediaDeviceInfo[], cameras: MediaDeviceInfo[], speakers: MediaDeviceInfo[] }>}
   */
  async devices() {
    return devicesOf();
  }

  /**
   * Takes other devices, for calls that are up too.
   * @param {{ microphone?: string, camera?: string, speaker?: string }} chosen Their `deviceId`.
   */
  async use(chosen) {
    this.chosen = { ...this.chosen, ...chosen };
    await Promise.all([...this.calls.values()].map((call) => call.switchDevices()));
  }

  /**
   * A microphone. Refusals are told in words.
   * @returns {Promise<MediaStreamTrack>}
   */
  async microphone() {
    return microphone(this.options.audio ?? true, this.chosen.microphone);
  }

  /**
   * Servers for ICE, with keys that last for a while: got anew when they end.
   * @returns {Promise<RTCConfiguration>}
   */
  async ice() {
    if (!this.#turn || this.#turn.until < Date.now() + 60_000) {
      const told = await this.ask('GET', '/v1/turn');
      const until = told.expires ? told.expires * 1000 : Date.now() + 600_000;
      this.#turn = { servers: told.iceServers, until, relay: told.relay };
    }
    return { iceServers: this.#turn.servers, iceTransportPolicy: this.options.iceTransportPolicy ?? 'all', bundlePolicy: 'max-bundle' };
  }

  /**
   * Used by calls: how many voices a room forwards at once, each on a line of its own.
   * @param {string} room
   * @returns {Promise<number>}
   */
  async voices(room) {
    try {
      return (await this.ask('GET', `/v1/rooms/${encodeURIComponent(room)}`)).voices;
    } catch {
      // The call itself is told why.
      return 0;
    }
  }

  /** When the keys for TURN end, in milliseconds since 1970; never where there are none. */
  get keysEnd() {
    return this.#turn?.relay ? this.#turn.until : Infinity;
  }

  /** True where the operator has TURN servers: without them, those who do not reach each other cannot talk. */
  get relay() {
    return this.#turn?.relay ?? false;
  }

  /**
   * A request of the API. What the network loses is sent again: by its key it is done once.
   * @param {'GET' | 'POST'} method
   * @param {string} path
   * @param {object} [body]
   * @param {number} [again] How long it is sent again for, in milliseconds.
   * @returns {Promise<any>}
   */
  async ask(method, path, body, again = AGAIN) {
    const key = crypto.randomUUID();
    const until = Date.now() + again;
    for (let attempt = 0; ; attempt += 1) {
      /** @type {Record<string, string>} */
      const headers = { Authorization: `Bearer ${await this.#bearer()}` };
      if (method === 'POST') headers['Idempotency-Key'] = key;
      if (body) headers['Content-Type'] = 'application/json';
      let response;
      try {
        const [keepalive, signal] = [path.endsWith('/hangup'), AbortSignal.timeout(ANSWER)];
        response = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body), keepalive, signal });
      } catch (error) {
        if (attempt >= 3 || Date.now() > until || this.#closed) throw new TandemError('no-network', 'The node cannot be reached.');
        await pause(250 * 2 ** attempt);
        continue;
      }
      if (response.ok) return response.status === 204 ? null : response.json();
      const wait = Number(response.headers.get('Retry-After'));
      if ((response.status === 429 || response.status === 503) && attempt < 3) {
        await pause(1000 * (wait || 1));
        continue;
      }
      const problem = await refusal(response);
      if (problem.kind === 'token-expired' && typeof this.#source === 'function' && attempt < 2) {
        this.#token = null;
        continue;
      }
      throw problem;
    }
  }

  async #bearer() {
    if (this.#token === null) {
      this.#token = typeof this.#source === 'function' ? await this.#source() : this.#source;
    }
    return this.#token;
  }

  /** Listens for events until it is closed, and goes on after each interruption where it was. */
  async #listen() {
    while (!this.#closed) {
      let error;
      try {
        await (this.#transport === 'events' ? this.#byEvents() : this.#byWebSocket());
      } catch (thrown) {
        error = thrown;
      }
      if (this.#closed) return;
      const told = error instanceof TandemError ? error : new TandemError('no-network', 'The node cannot be reached.');
      if (told.status === 401 || told.kind === 'ended') {
        // A token that is a text does not get better.
        if (typeof this.#source !== 'function' || this.#attempts > 3) {
          this.#end(told);
          return;
        }
        this.#token = null;
      } else if ((told.status && told.status !== 429 && told.status < 500) || (!this.name && this.#isHopeless())) {
        // Nothing gets better by asking again, or the node was never reached.
        this.#end(told);
        return;
      }
      this.emit('disconnected', told);
      const wait = Math.min(250 * 2 ** this.#attempts, 10_000);
      this.#attempts += 1;
      await Promise.race([pause(wait * (0.5 + Math.random() / 2)), new Promise((resolve) => { this.#hurry = resolve; })]);
    }
  }

  #isHopeless() {
    return this.#attempts >= 4 || Date.now() > this.#begun + NEVER;
  }

  /** @type {(value?: unknown) => void} */
  #hurry = () => {};
  /** @type {AbortController | null} */
  #stream = null;

  async #byEvents() {
    const stream = new AbortController();
    this.#stream = stream;
    const stop = () => stream.abort();
    this.#stop.signal.addEventListener('abort', stop);
    let is_held_back = false;
    let timer = setTimeout(() => {
      is_held_back = true;
      stop();
    }, FIRST);
    try {
      /** @type {Record<string, string>} */
      const headers = { Authorization: `Bearer ${await this.#bearer()}`, Accept: 'text/event-stream' };
      if (this.#place !== null) headers['Last-Event-ID'] = this.#place;
      const response = await fetch(`${this.url}/v1/events`, { headers, signal: stream.signal, cache: 'no-store' });
      if (!response.ok || !response.body) throw await refusal(response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(stop, SILENCE);
        const blocks = (rest + value).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) this.#block(block);
      }
    } catch (error) {
      if (is_held_back && !this.options.transport) this.#transport = 'websocket';
      throw error;
    } finally {
      clearTimeout(timer);
      this.#stop.signal.removeEventListener('abort', stop);
    }
  }

  /**
   * One event of the stream; nothing but a comment is a sign of life.
   * @param {string} block
   */
  #block(block) {
    /** @type {Record<string, string>} */
    const fields = {};
    for (const line of block.split('\n')) {
      const at = line.indexOf(': ');
      if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
    }
    if (fields.event) this.#event(fields.id ?? null, fields.event, JSON.parse(fields.data));
  }

  async #byWebSocket() {
    const after = this.#place === null ? '' : `?after=${encodeURIComponent(this.#place)}`;
    const token = await this.#bearer();
    const socket = new WebSocket(`${this.url.replace(/^http/, 'ws')}/v1/events${after}`, ['tandem.v1', `bearer.${token}`]);
    const stop = () => socket.close();
    this.#stop.signal.addEventListener('abort', stop);
    /** @type {unknown} */
    let fault = null;
    let is_open = false;
    socket.onmessage = ({ data }) => {
      try {
        const { id, event, data: told } = JSON.parse(data);
        this.#event(id, event, told);
      } catch (error) {
        fault = error;
        socket.close();
      }
    };
    const timer = setTimeout(stop, FIRST);
    socket.onopen = () => {
      is_open = true;
      clearTimeout(timer);
    };
    await new Promise((resolve) => { socket.onclose = resolve; });
    clearTimeout(timer);
    this.#stop.signal.removeEventListener('abort', stop);
    if (fault) throw fault;
    if (is_open || this.#closed) return;
    // Event streams were not what was held back.
    if (!this.options.transport) this.#transport = 'events';
    // A browser does not say why; a request does.
    await this.ask('GET', '/v1/turn', undefined, 0);
  }

  /**
   * @param {string | null} id
   * @param {string} name
   * @param {any} data
   */
  #event(id, name, data) {
    if (id !== null) this.#place = id;
    if (name === 'end') throw new TandemError('ended', data.reason);
    if (name === 'ready') {
      this.#attempts = 0;
      this.name = data.client;
      this.#settle();
      if (!data.resumed) this.#reconcile(data.calls);
      this.emit('connected');
      return;
    }
    if (name === 'call.incoming') {
      this.#incoming(data.call);
      return;
    }
    if (name === 'call.invited') {
      const call = new Call(this, 'incoming', data.from);
      call.invited(data.room);
      this.emit('incoming', call);
      return;
    }
    const named = typeof data.call === 'string' ? data.call : data.call.id;
    const call = this.calls.get(named);
    if (call) call.told(name, data);
    // Of another device, of one that has just ended, or of one that is being started and does not know its name yet.
    else if (this.#starting > 0) this.#early.push({ named, name, data });
  }

  #starting = 0;
  /** @type {{ named: string, name: string, data: any }[]} */
  #early = [];

  /**
   * Used by calls: asks for one, and tells it what came before its answer.
   * @param {Call} call
   * @param {object} wanted
   */
  async startCall(call, wanted) {
    this.#starting += 1;
    try {
      const view = await this.ask('POST', '/v1/calls', wanted);
      call.named(view.id);
      for (const { named, name, data } of this.#early) {
        if (named === view.id) call.told(name, data);
      }
    } finally {
      this.#starting -= 1;
      if (this.#starting === 0) this.#early = [];
    }
  }

  /** @param {CallView} view */
  #incoming(view) {
    if (this.calls.has(view.id)) return;
    const call = new Call(this, 'incoming', view.from);
    call.ring(view);
    this.emit('incoming', call);
  }

  /**
   * What holds, where it is not known what was missed.
   * @param {CallView[]} views
   */
  #reconcile(views) {
    for (const call of [...this.calls.values()]) {
      const view = views.find((view) => view.id === call.id);
      if (view) call.resync(view);
      else call.over('gone', null);
    }
    for (const view of views) {
      if (view.state === 'ringing' && view.to.client === this.name && view.from.client !== this.name) this.#incoming(view);
    }
  }

  /** Another network: the stream is tried at once, and calls look for another path. */
  #network = () => {
    this.#stream?.abort();
    this.#hurry();
    for (const call of this.calls.values()) call.restart();
  };

  #devices = () => this.emit('devices');

  /** @param {TandemError} [error] */
  async #end(error) {
    if (this.#closed) return;
    const told = [...this.calls.values()].map((call) => call.close().catch(() => {}));
    this.#closed = true;
    this.#stop.abort();
    this.#hurry();
    globalThis.removeEventListener?.('online', this.#network);
    /** @type {any} */ (navigator).connection?.removeEventListener?.('change', this.#network);
    navigator.mediaDevices?.removeEventListener?.('devicechange', this.#devices);
    this.#settle(error ?? new TandemError('closed', 'The client was closed.'));
    this.emit('closed', error);
    await Promise.all(told);
  }
}
