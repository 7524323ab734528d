// Calls in a page, by Tandem's API. No dependencies, no build step:
//
//   import { connect } from 'https://NODE/sdk/tandem.js';
//   const client = await connect(token);          // or connect(() => fetchToken())
//   client.on('incoming', (call) => call.accept());
//   const call = await client.call('bob');
//
// Media goes between the two browsers; the node carries what they have to tell each other first.

/**
 * @typedef {string | (() => string | Promise<string>)} Token
 *   An access token, or what gets one. With a function the client goes on when a token expires.
 * @typedef {{ client: string }} Target Who is called.
 * @typedef {object} Options
 * @property {string} [url] Where the API is; by default where this file came from.
 * @property {'events' | 'websocket'} [transport] How events come; by default server-sent events, and a WebSocket where these do not arrive.
 * @property {MediaTrackConstraints | boolean} [audio] What is asked of the microphone.
 * @property {RTCIceTransportPolicy} [iceTransportPolicy] `relay`: only by TURN.
 * @property {boolean} [play] False: the page plays what comes by itself (`call.stream`).
 * @typedef {object} Quality
 * @property {number | null} mos 1 (bad) to 4.5, by the E-model (ITU-T G.107), as soon as something was heard.
 * @property {number | null} roundTrip Seconds.
 * @property {number} jitter Seconds.
 * @property {number} loss Share of packets lost since the last look, 0 to 1.
 * @property {number} received Packets since the beginning.
 * @property {number} sent Packets since the beginning.
 * @property {{ local: string, remote: string, protocol: string, relay: string | null } | null} path The kinds of the two candidates in
 *   use: host, srflx, prflx or relay; and by what our relay is reached, if it is one: udp, tcp or tls.
 * @typedef {'ringing' | 'connecting' | 'up' | 'ended'} State
 * @typedef {{ client: string, muted: boolean, holds: boolean }} MemberView
 * @typedef {{ id: string, state: 'ringing' | 'up', from: MemberView, to: MemberView, offer?: string, revision?: number }} CallView
 */

/** Why something was refused: an RFC 9457 problem of the API, or of the page itself (`kind` then is of the browser). */
export class TandemError extends Error {
  /**
   * @param {string} kind
   * @param {string} message
   * @param {number} [status]
   */
  constructor(kind, message, status = 0) {
    super(message);
    this.name = 'TandemError';
    /** The last part of the problem's type, such as `not-connected`; or `microphone-refused`, `no-microphone`, `no-network`, `no-way`. */
    this.kind = kind;
    /** The status of HTTP; 0 where there is none. */
    this.status = status;
  }
}

/** Who tells others what happens. */
class Emitter {
  /** @type {Map<string, Set<(...details: any[]) => void>>} */
  #listeners = new Map();

  /**
   * Calls `listener` each time; gives what ends that.
   * @param {string} name
   * @param {(...details: any[]) => void} listener
   * @returns {() => void}
   */
  on(name, listener) {
    const all = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, all.add(listener));
    return () => all.delete(listener);
  }

  /**
   * @param {string} name
   * @param {...any} details
   */
  emit(name, ...details) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(...details);
      } catch (error) {
        // One listener's fault is not the others'.
        queueMicrotask(() => { throw error; });
      }
    }
  }
}

/** @param {number} milliseconds */
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

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
/** How long a path may be interrupted before another is looked for. */
const INTERRUPTED = 3_000;

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
    /** @type {{ microphone?: string, speaker?: string }} */
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
   * Calls somebody. The call rings when this is done.
   * @param {string | Target | [string | Target]} target
   * @returns {Promise<Call>}
   */
  async call(target) {
    const [one] = Array.isArray(target) ? target : [target];
    const call = new Call(this, 'outgoing', typeof one === 'string' ? one : one.client);
    await call.start(typeof one === 'string' ? { client: one } : one);
    return call;
  }

  /** Ends everything. */
  close() {
    this.#end();
  }

  /**
   * Microphones and speakers. They have names once a microphone was allowed.
   * @returns {Promise<{ microphones: MediaDeviceInfo[], speakers: MediaDeviceInfo[] }>}
   */
  async devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    const of = (/** @type {string} */ kind) => all.filter((device) => device.kind === kind);
    return { microphones: of('audioinput'), speakers: of('audiooutput') };
  }

  /**
   * Takes other devices, for calls that are up too.
   * @param {{ microphone?: string, speaker?: string }} chosen Their `deviceId`.
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
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new TandemError('no-microphone', 'The browser gives a page a microphone only by https.');
    }
    const wanted = this.options.audio ?? true;
    const constraints = typeof wanted === 'object' ? { ...wanted } : {};
    if (this.chosen.microphone) constraints.deviceId = { exact: this.chosen.microphone };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: constraints });
      return stream.getAudioTracks()[0];
    } catch (error) {
      const { name, message } = /** @type {Error} */ (error);
      if (name === 'NotAllowedError') {
        throw new TandemError('microphone-refused', 'The microphone is not allowed. Allow it beside the address of the page.');
      }
      if (name === 'NotFoundError' || name === 'OverconstrainedError') {
        throw new TandemError('no-microphone', 'There is no such microphone. Connect one, or choose another.');
      }
      throw new TandemError('no-microphone', `The microphone cannot be used: ${message}`);
    }
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
    const call = new Call(this, 'incoming', view.from.client);
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
  #end(error) {
    if (this.#closed) return;
    for (const call of [...this.calls.values()]) call.hangUp().catch(() => {});
    this.#closed = true;
    this.#stop.abort();
    this.#hurry();
    globalThis.removeEventListener?.('online', this.#network);
    /** @type {any} */ (navigator).connection?.removeEventListener?.('change', this.#network);
    navigator.mediaDevices?.removeEventListener?.('devicechange', this.#devices);
    this.#settle(error ?? new TandemError('closed', 'The client was closed.'));
    this.emit('closed', error);
  }
}

/** @param {Response} response */
async function refusal(response) {
  const told = await response.json().catch(() => ({}));
  const kind = String(told.type ?? 'unknown').split('#').pop() ?? 'unknown';
  return new TandemError(kind, told.title ? `${told.title}: ${told.detail}` : `status ${response.status}`, response.status);
}

/**
 * A call with one other.
 *
 * Events: `state` (state), `stream` (MediaStream), `ended` (reason, by), `updated`, `dtmf` (digits), `path` (what the connection is doing),
 * `blocked` (the browser plays nothing before a gesture: call `play()` from one), `trouble` (error: what keeps the two apart, in words; another
 * way is looked for).
 */
export class Call extends Emitter {
  /** @type {Client} */
  #client;
  /** @type {RTCPeerConnection | null} */
  #pc = null;
  /** @type {MediaStreamTrack | null} */
  #track = null;
  /** @type {RTCIceCandidateInit[]} */
  #gathered = [];
  #telling = false;
  /** @type {RTCIceCandidateInit[]} */
  #early = [];
  /** @type {string | null} */
  #offer = null;
  /** The number of our offer that waits for its answer. @type {Promise<number | null> | null} */
  #offered = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #interrupted;
  /** @type {HTMLAudioElement | null} */
  #audio = null;
  #hasRelay = false;
  /** What a TURN server has refused. */
  #refusal = '';
  /** One negotiation at a time. @type {Promise<unknown>} */
  #turn = Promise.resolve();
  /** @type {{ received: number, lost: number } | null} */
  #before = null;

  /**
   * @param {Client} client
   * @param {'incoming' | 'outgoing'} direction
   * @param {string} peer
   */
  constructor(client, direction, peer) {
    super();
    this.#client = client;
    this.id = '';
    this.direction = direction;
    /** The other's name. */
    this.peer = peer;
    /** @type {State} */
    this.state = 'ringing';
    this.muted = false;
    this.held = false;
    /** What the other says of himself. */
    this.remote = { muted: false, holds: false };
    /** What the other says. @type {MediaStream | null} */
    this.stream = null;
    /** @type {string | null} */
    this.reason = null;
  }

  /**
   * Used by `Client.call`.
   * @param {Target} target
   */
  async start(target) {
    try {
      const pc = await this.#open();
      await pc.setLocalDescription();
      await this.#client.startCall(this, { targets: [target], offer: pc.localDescription?.sdp });
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
    this.#offer = view.offer ?? null;
    this.id = view.id;
    this.#client.calls.set(this.id, this);
  }

  /** Takes the call. Done when the other knows. */
  async accept() {
    if (this.direction !== 'incoming' || this.state !== 'ringing' || !this.#offer) {
      throw new TandemError('wrong-moment', 'The call is not one that can be accepted.');
    }
    try {
      const sdp = this.#offer;
      this.#offer = null;
      const pc = await this.#open({ type: 'offer', sdp });
      await pc.setLocalDescription();
      const device = this.#client.device;
      await this.#client.ask('POST', `/v1/calls/${this.id}/accept`, { answer: pc.localDescription?.sdp, device });
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
    await this.#ending(this.#client.ask('POST', `/v1/calls/${this.id}/reject`, { reason }), reason);
  }

  /** Ends it, whatever it is doing. */
  async hangUp() {
    if (this.state === 'ended') return;
    const told = this.id ? this.#client.ask('POST', `/v1/calls/${this.id}/hangup`) : Promise.resolve();
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
   * On hold neither hears the other.
   * @param {boolean} [on]
   */
  async hold(on = true) {
    this.held = on;
    this.#heard();
    await this.#client.ask('POST', `/v1/calls/${this.id}/hold`, { hold: on });
  }

  /**
   * Digits to the other's page, and as tones where the connection takes them.
   * @param {string} digits
   */
  async sendDigits(digits) {
    const sender = this.#pc?.getSenders().find((sender) => sender.dtmf?.canInsertDTMF);
    sender?.dtmf?.insertDTMF(digits);
    await this.#client.ask('POST', `/v1/calls/${this.id}/dtmf`, { digits });
  }

  /**
   * Plays what comes. To be called from a gesture after `blocked`. False where the browser does not.
   * @returns {Promise<boolean>}
   */
  async play() {
    if (!this.#audio || !this.stream) return false;
    this.#audio.srcObject = this.stream;
    try {
      await this.#audio.play();
      return true;
    } catch (error) {
      if (/** @type {Error} */ (error).name === 'NotAllowedError') this.emit('blocked');
      return false;
    }
  }

  /** Takes the devices that are chosen now. */
  async switchDevices() {
    const sink = /** @type {any} */ (this.#audio);
    if (sink?.setSinkId) await sink.setSinkId(this.#client.chosen.speaker ?? '');
    const sender = this.#pc?.getSenders()[0];
    if (!sender || this.state === 'ended') return;
    const track = await this.#client.microphone();
    await sender.replaceTrack(track);
    this.#track?.stop();
    this.#track = track;
    this.#heard();
  }

  /**
   * How it goes.
   * @returns {Promise<Quality>}
   */
  async stats() {
    /** @type {Quality} */
    const quality = { mos: null, roundTrip: null, jitter: 0, loss: 0, received: 0, sent: 0, path: null };
    /** @type {Map<string, any>} */
    const reports = new Map(/** @type {any} */ (await this.#pc?.getStats()) ?? []);
    let lost = 0;
    let buffer = 0;
    for (const report of reports.values()) {
      if (report.type === 'inbound-rtp' && report.kind === 'audio') {
        quality.received = report.packetsReceived ?? 0;
        quality.jitter = report.jitter ?? 0;
        lost = report.packetsLost ?? 0;
        if (report.jitterBufferEmittedCount > 0) buffer = report.jitterBufferDelay / report.jitterBufferEmittedCount;
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
    const before = this.#before ?? { received: 0, lost: 0 };
    const [got, gone] = [quality.received - before.received, Math.max(0, lost - before.lost)];
    this.#before = { received: quality.received, lost };
    quality.loss = got + gone > 0 ? gone / (got + gone) : 0;
    if (quality.received > 0) quality.mos = score(1000 * ((quality.roundTrip ?? 0) / 2 + buffer) + 20, quality.loss);
    return quality;
  }

  /** Looks for another path (ICE restart, RFC 8445 9). */
  restart() {
    if (this.state !== 'up' && this.state !== 'connecting') return;
    this.emit('path', 'restarting');
    this.#inTurn(async () => {
      const pc = this.#pc;
      if (!pc || pc.signalingState !== 'stable') return;
      pc.setConfiguration(await this.#client.ice());
      pc.restartIce();
      await pc.setLocalDescription();
      const offer = pc.localDescription?.sdp;
      this.#offered = this.#client.ask('POST', `/v1/calls/${this.id}/offer`, { offer }).then(({ revision }) => revision);
      try {
        await this.#offered;
      } catch (error) {
        this.#offered = null;
        // The other's offer came first, and takes the place of ours.
        if (/** @type {string} */ (pc.signalingState) === 'have-local-offer') await pc.setLocalDescription({ type: 'rollback' });
        if (!(error instanceof TandemError) || error.kind !== 'glare') throw error;
      }
    });
  }

  /**
   * Used by the client: an event.
   * @param {string} name
   * @param {any} data
   */
  told(name, data) {
    if (name === 'call.ended') {
      this.over(data.reason, data.by);
    } else if (name === 'call.accepted') {
      this.#accepted(data);
    } else if (name === 'call.candidates') {
      this.#inTurn(() => this.#candidates(data.candidates));
    } else if (name === 'call.offer') {
      this.#inTurn(() => this.#answer(data.offer, data.revision));
    } else if (name === 'call.answer') {
      this.#inTurn(async () => {
        if ((await this.#offered) !== data.revision) return;
        this.#offered = null;
        await this.#remote({ type: 'answer', sdp: data.answer });
      });
    } else if (name === 'call.updated') {
      this.#views(data.call);
      this.emit('updated');
    } else if (name === 'call.dtmf') {
      this.emit('dtmf', data.digits);
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
      this.#inTurn(() => /** @type {RTCPeerConnection} */ (this.#pc).setLocalDescription({ type: 'rollback' }));
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
   */
  over(reason, by) {
    if (this.state === 'ended') return;
    this.reason = reason;
    clearTimeout(this.#interrupted);
    this.#track?.stop();
    this.#pc?.close();
    if (this.#audio) this.#audio.srcObject = null;
    this.#client.calls.delete(this.id);
    this.#enter('ended');
    this.emit('ended', reason, by);
  }

  /** @param {CallView} view */
  #views(view) {
    const { muted, holds } = this.direction === 'outgoing' ? view.to : view.from;
    this.remote = { muted, holds };
  }

  /** @param {any} data */
  #accepted(data) {
    if (this.direction === 'incoming') {
      // Our own device knows; another has taken it.
      if (data.device !== this.#client.device) this.over('answered-elsewhere', this.#client.name);
      return;
    }
    this.#enter('connecting');
    this.#inTurn(async () => {
      await this.#remote({ type: 'answer', sdp: data.answer });
      this.#connected();
    });
  }

  /**
   * A connection with a microphone, behind the other's offer if there is one.
   * @param {RTCSessionDescriptionInit} [offer]
   */
  async #open(offer) {
    const [configuration, track] = await Promise.all([this.#client.ice(), this.#client.microphone()]);
    if (this.state === 'ended') {
      track.stop();
      throw new TandemError('ended', 'The call has ended.');
    }
    this.#track = track;
    const pc = new RTCPeerConnection(configuration);
    this.#pc = pc;
    pc.addEventListener('icecandidate', ({ candidate }) => {
      if (candidate) this.#gathered.push(candidate.toJSON());
      if (candidate?.type === 'relay') this.#hasRelay = true;
      this.#tell();
    });
    pc.addEventListener('icecandidateerror', ({ url, errorCode, errorText }) => {
      // 701 is not the server's: it cannot be reached.
      if (url?.startsWith('turn') && errorCode < 700) this.#refusal = `${errorCode} ${errorText}`.replace(/[ .]*$/, '');
    });
    pc.addEventListener('track', ({ track: coming, streams }) => {
      this.stream = streams[0] ?? new MediaStream([coming]);
      if (this.#client.options.play !== false) {
        this.#audio = this.#audio ?? new Audio();
        const sink = /** @type {any} */ (this.#audio);
        if (this.#client.chosen.speaker && sink.setSinkId) sink.setSinkId(this.#client.chosen.speaker).catch(() => {});
        this.play();
      }
      this.emit('stream', this.stream);
    });
    pc.addEventListener('connectionstatechange', () => this.#connected());
    if (offer) await this.#remote(offer);
    pc.addTrack(track, new MediaStream([track]));
    this.#heard();
    return pc;
  }

  /** How the connection is. */
  #connected() {
    const state = this.#pc?.connectionState;
    clearTimeout(this.#interrupted);
    if (this.state !== 'connecting' && this.state !== 'up') return;
    this.emit('path', state);
    if (state === 'connected') {
      if (this.state === 'connecting') this.#enter('up');
    } else if (state === 'disconnected' || state === 'failed') {
      if (state === 'failed') this.emit('trouble', new TandemError('no-way', `No way to the other was found: ${this.#apart()}`));
      // The caller goes first, so that not both offer at once.
      const later = this.direction === 'incoming' ? 2_000 : 0;
      this.#interrupted = setTimeout(() => this.restart(), later + (state === 'failed' ? 0 : INTERRUPTED));
    }
  }

  /** What keeps the two apart, as far as it is seen from here. */
  #apart() {
    if (!this.#client.relay) return 'a firewall keeps the two apart, and the operator has no TURN server (api.turn). From another network it may work.';
    if (this.#hasRelay) return 'the TURN server is reached, and does not reach the other.';
    if (this.#refusal) return `a firewall keeps the two apart, and the TURN server has refused to help (${this.#refusal}).`;
    return 'a firewall keeps the two apart, and lets nothing through to the TURN server either, be it UDP, TCP or TLS.';
  }

  /** @param {State} state */
  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit('state', state);
  }

  /** Who is muted, or on hold, says nothing; who is on hold hears nothing either. */
  #heard() {
    if (this.#track) this.#track.enabled = !this.muted && !this.held;
    if (this.#audio) this.#audio.muted = this.held;
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

  /** Tells candidates, several at once, once the call has a name and the other waits for them. */
  async #tell() {
    const may = this.id && this.#pc?.localDescription && (this.direction === 'outgoing' || this.state !== 'ringing');
    if (this.#telling || !may) return;
    this.#telling = true;
    await pause(20);
    try {
      while (this.#gathered.length > 0 && this.state !== 'ended') {
        const candidates = this.#gathered.splice(0, 32);
        await this.#client.ask('POST', `/v1/calls/${this.id}/candidates`, { candidates });
      }
    } catch {
      // The call is over, or these are too many: what was told has to do.
    } finally {
      this.#telling = false;
    }
  }

  /** @param {RTCIceCandidateInit[]} candidates */
  async #candidates(candidates) {
    if (!this.#pc?.remoteDescription) {
      this.#early.push(...candidates);
      return;
    }
    for (const candidate of candidates) {
      // One that the browser does not take (another offer's, a kind that it does not know) is no harm.
      await this.#pc.addIceCandidate(candidate).catch(() => {});
    }
  }

  /** @param {RTCSessionDescriptionInit} description */
  async #remote(description) {
    if (!this.#pc || this.state === 'ended') return;
    await this.#pc.setRemoteDescription(description);
    await this.#candidates(this.#early.splice(0));
  }

  /**
   * @param {string} sdp
   * @param {number} revision
   */
  async #answer(sdp, revision) {
    if (!this.#pc || this.state === 'ended') return;
    // An offer of our own that waits is rolled back by this (RFC 8829 4.1.10.2).
    await this.#remote({ type: 'offer', sdp });
    await this.#pc.setLocalDescription();
    const answer = this.#pc.localDescription?.sdp;
    await this.#client.ask('POST', `/v1/calls/${this.id}/answer`, { answer, revision });
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
