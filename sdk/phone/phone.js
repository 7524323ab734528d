// A telephone in a page, with nothing but the package beside it. A token may stand behind # in the address: /phone#token=...

import { Client, TandemError } from '/sdk/tandem.js';
import { Stage } from './stage.js';

/** @typedef {import('../tandem.js').Call} Call */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
const $ = (id) => /** @type {T} */ (document.getElementById(id));

/** @type {Client | null} */
let client = null;
/** The one that is shown. @type {Call | null} */
let current = null;
/** @type {Call | null} */
let ringing = null;
let since = 0;
/** The keys are shown in a call with tiles. */
let keypad = false;
const stage = new Stage($('stage'), $('own'));

const WORDS = {
  declined: 'Declined.',
  busy: 'Busy.',
  cancelled: 'The caller has hung up.',
  'no-answer': 'Nobody has answered.',
  gone: 'The other is gone.',
  'answered-elsewhere': 'Answered on another device.',
  'ended-by-admin': 'Ended by the operator.',
  unavailable: 'Nobody can be reached there now.',
  'not-found': 'There is no such number or address.',
  'not-allowed': 'That is not allowed.',
  failed: 'The call has failed.',
};

/** Where the sentence that comes with the reason says more than the words. */
const SAYS_WHY = new Set(['failed', 'gone', 'unavailable', 'not-allowed']);

/** Why somebody who was added is not there, by the status of SIP. @type {Record<number, string>} */
const ABSENT = {
  403: 'Who was added does not come: in this room only its moderators may call somebody.',
  404: 'Who was added does not come: there is no such number or address.',
  408: 'Who was added has not answered.',
  480: 'Who was added cannot be reached now, or did not press 1.',
  486: 'Who was added is busy.',
  488: 'Who was added does not come: that cannot be called from here.',
  603: 'Who was added has declined.',
};

/** @param {string} text */
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

/**
 * What consists of digits is a number.
 * @param {string} to
 */
const targetOf = (to) => (/^[\d*#]+$/.test(to) ? { number: to } : to);

/** @param {string} text Empty: there is none. */
function trouble(text) {
  $('trouble').textContent = text;
  $('trouble').hidden = !text;
}

/** @param {unknown} error */
function explain(error) {
  const { kind, message } = error instanceof TandemError ? error : { kind: '', message: String(error) };
  /** @type {Record<string, string>} */
  const words = {
    'not-connected': 'This person is not connected.',
    busy: 'This person has too many calls.',
    'no-network': 'The node cannot be reached. Is this device online?',
    'token-expired': 'The access token has expired. Ask for a new one.',
    'screen-refused': '',
    ended: 'The access token has expired, or was withdrawn. Ask for a new one.',
  };
  // Who has chosen no screen knows that. What it is of the request that cannot be matters to who writes pages.
  trouble(words[kind] ?? sentence(message.replace(/^What the body asks for cannot be: (targets?: )?/, '')));
}

/** Shows what there is. */
function show() {
  const talks = current !== null && current.state !== 'ended';
  $('enter').hidden = client !== null;
  $('dial').hidden = client === null || talks || ringing !== null;
  $('talk').hidden = !talks;
  const is_up = talks && current?.state === 'up';
  const asks_pin = talks && Boolean(current?.pin);
  $('door').hidden = !asks_pin;
  const has_video = talks && !current?.pin && current !== null && (current.direct || current.room !== '');
  stage.update(talks && !asks_pin ? current : null);
  const tiles = !$('stage').hidden;
  document.body.classList.toggle('group', tiles);
  $('keys').hidden = !is_up || asks_pin || (tiles && !keypad);
  $('keypad').hidden = !tiles;
  $('keypad').setAttribute('aria-pressed', String(keypad));
  $('camera').hidden = !is_up || !has_video;
  $('screen').hidden = !is_up || !has_video || !navigator.mediaDevices?.getDisplayMedia;
  $('more').hidden = !is_up || !has_video;
  $('incoming').hidden = ringing === null;
  $('settings').hidden = $('help').hidden = client === null;
  // A room calls by itself; who invites to one is somebody.
  if (ringing) $('incoming-title').textContent = `${ringing.id && ringing.room ? `Room ${ringing.room}` : ringing.display || ringing.peer} calls`;
  if (!current) return;
  $('peer').textContent = current.room ? `Room ${current.room}` : current.peer;
  const { muted, holds } = current.remote;
  if (asks_pin) $('pin-title').textContent = `Room ${current.room} asks for its PIN`;
  const up = asks_pin ? 'At the door' : holds ? 'The other holds' : muted ? 'The other is muted' : 'Connected';
  const states = { ringing: 'Ringing', connecting: 'Connecting', up, ended: '' };
  $('state').textContent = states[current.state];
  $('mute').setAttribute('aria-pressed', String(current.muted));
  $('hold').setAttribute('aria-pressed', String(current.held));
  $('camera').setAttribute('aria-pressed', String(current.ownCamera !== null));
  $('screen').setAttribute('aria-pressed', String(current.ownScreen !== null));
  if (!talks) $('listen').hidden = true;
}

/** @param {Call} call */
function follow(call) {
  current = call;
  since = 0;
  keypad = false;
  $('quality').setAttribute('value', '1');
  $('quality-text').textContent = $('timer').textContent = '';
  call.on('state', (state) => {
    if (state === 'up' && !since) since = Date.now();
    show();
  });
  for (const event of ['updated', 'video', 'members', 'speaking', 'camera', 'screen', 'moved']) call.on(event, show);
  call.on('pin', () => {
    show();
    $(call.pin ? 'pin' : 'mute').focus();
  });
  call.on('participant', (status) => {
    if (status >= 300) trouble(ABSENT[status] ?? `Who was added does not come (status ${status}).`);
  });
  call.on('blocked', () => {
    $('listen').hidden = false;
    $('listen').focus();
    trouble('The browser plays nothing before it is asked to: press "Hear the call".');
  });
  call.on('trouble', explain);
  call.on('path', (what) => {
    // Where there was no way yet, it is not interrupted.
    if (call.state === 'up' && (what === 'disconnected' || what === 'restarting')) trouble('The connection is interrupted. Another way is looked for.');
    else if (what === 'connected' && $('listen').hidden) trouble('');
  });
  call.on('ended', (reason, by, detail) => {
    if (current === call) current = null;
    const words = /** @type {Record<string, string>} */ (WORDS)[reason];
    if (words) trouble([words, ...(SAYS_WHY.has(reason) && detail ? [sentence(detail)] : [])].join(' '));
    $('over').textContent = reason === 'hung-up' && by !== client?.name ? `${$('peer').textContent} has hung up.` : '';
    show();
    $('to').focus();
  });
  show();
}

/** @param {Client} to */
async function devices(to) {
  const { microphones, cameras, speakers } = await to.devices();
  for (const [id, all] of /** @type {[string, MediaDeviceInfo[]][]} */ ([['microphone', microphones], ['lens', cameras], ['speaker', speakers]])) {
    const select = /** @type {HTMLSelectElement} */ ($(id));
    const chosen = select.value;
    select.replaceChildren(new Option('The usual one', ''), ...all.filter(({ deviceId }) => deviceId).map(({ deviceId, label }, nth) => new Option(label || `Number ${nth + 1}`, deviceId)));
    select.value = chosen;
    select.disabled = all.length === 0;
  }
}

/** @param {string} token */
async function enter(token) {
  trouble('');
  $('who').textContent = 'Connecting';
  const button = /** @type {HTMLButtonElement} */ ($('connect'));
  button.disabled = true;
  const opened = new Client(token, {});
  let late = 0;
  opened.on('connected', () => {
    clearTimeout(late);
    trouble('');
    $('who').textContent = opened.name;
  });
  opened.on('disconnected', (error) => {
    $('who').textContent = opened.name ? `${opened.name}: reconnecting` : 'Connecting';
    clearTimeout(late);
    // Mostly it is back at once.
    late = window.setTimeout(() => {
      if (error.kind === 'no-network') trouble(`The node cannot be reached. It is tried again${current ? '; the call goes on' : ''}.`);
      else explain(error);
    }, opened.name ? 2_000 : 0);
  });
  opened.on('closed', (error) => {
    clearTimeout(late);
    client = current = ringing = null;
    $('who').textContent = 'Not connected';
    if (error) explain(error);
    show();
  });
  opened.on('devices', () => devices(opened));
  opened.on('incoming', incoming);
  try {
    await opened.ready;
    client = opened;
    await devices(opened);
  } catch {
    // `closed` has told why.
  }
  button.disabled = false;
  show();
  $(client ? 'to' : 'token').focus();
}

/** @param {Call} call */
function incoming(call) {
  if (ringing || (current && current.state !== 'ended')) {
    call.reject('busy').catch(explain);
    return;
  }
  ringing = call;
  trouble('');
  call.on('ended', (reason) => {
    if (ringing !== call) return;
    ringing = null;
    trouble(/** @type {Record<string, string>} */ (WORDS)[reason] ?? '');
    show();
    $('to').focus();
  });
  show();
  $('accept').focus();
}

/**
 * What a button does: its faults are told.
 * @param {string} id
 * @param {() => Promise<unknown> | void} work
 */
function does(id, work) {
  $(id).addEventListener('click', async () => {
    try {
      await work();
    } catch (error) {
      explain(error);
    }
    show();
  });
}

$('enter').addEventListener('submit', (event) => {
  event.preventDefault();
  enter(/** @type {HTMLInputElement} */ ($('token')).value.trim());
});

$('call').addEventListener('submit', async (event) => {
  event.preventDefault();
  trouble('');
  const to = /** @type {HTMLInputElement} */ ($('to')).value.trim();
  try {
    $('over').textContent = '';
    if (client && to) follow(await client.call(targetOf(to)));
    $('mute').focus();
    if (client) await devices(client);
  } catch (error) {
    explain(error);
  }
  show();
});

$('pin-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  trouble('');
  const button = /** @type {HTMLButtonElement} */ ($('enter-pin'));
  const field = /** @type {HTMLInputElement} */ ($('pin'));
  const given = field.value.trim();
  field.value = '';
  button.disabled = true;
  try {
    await current?.enterPin(given);
  } catch (error) {
    // How the call has ended is told by itself.
    if (!(error instanceof TandemError) || error.kind !== 'ended') explain(error);
  }
  button.disabled = false;
  show();
});

does('accept', async () => {
  const call = ringing;
  if (!call) return;
  ringing = null;
  follow(call);
  await call.accept();
  $($('listen').hidden ? 'mute' : 'listen').focus();
  if (client) await devices(client);
});
does('reject', () => ringing?.reject());
does('mute', () => current?.mute(!current.muted));
does('hold', () => current?.hold(!current.held));
does('camera', async () => {
  await current?.camera(current.ownCamera === null);
  if (client) await devices(client);
});
does('screen', async () => {
  await current?.shareScreen(current.ownScreen === null);
});
does('keypad', () => {
  keypad = !keypad;
});
does('hangup', () => current?.hangUp());
does('listen', async () => {
  if (!(await current?.play())) return;
  $('listen').hidden = true;
  trouble('');
});

$('add').addEventListener('submit', async (event) => {
  event.preventDefault();
  trouble('');
  const third = /** @type {HTMLInputElement} */ ($('third'));
  try {
    await current?.addParticipant(targetOf(third.value.trim()));
    third.value = '';
  } catch (error) {
    explain(error);
  }
});

for (const digit of '123456789*0#') {
  const key = document.createElement('button');
  key.type = 'button';
  key.textContent = digit;
  key.addEventListener('click', () => current?.sendDigits(digit).catch(explain));
  $('keys').append(key);
}

for (const [id, device] of [['microphone', 'microphone'], ['lens', 'camera'], ['speaker', 'speaker']]) {
  $(id).addEventListener('change', () => {
    const chosen = /** @type {HTMLSelectElement} */ ($(id)).value;
    client?.use({ [device]: chosen }).catch(explain);
  });
}

/** @param {string} id */
function press(id) {
  if (!$(id).hidden) $(id).click();
}

document.addEventListener('keydown', (event) => {
  const writes = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (writes || event.ctrlKey || event.altKey || event.metaKey || !current) return;
  if (event.key === 'm' || event.key === 'M') $('mute').click();
  else if (event.key === 'h' || event.key === 'H') $('hold').click();
  else if (event.key === 'c' || event.key === 'C') press('camera');
  else if (event.key === 's' || event.key === 'S') press('screen');
  else if (event.key === 'Escape') $('hangup').click();
  else if (/^[0-9*#]$/.test(event.key)) current.sendDigits(event.key).catch(explain);
});

setInterval(async () => {
  if (!current || current.state !== 'up') return;
  const seconds = Math.floor((Date.now() - since) / 1000);
  $('timer').textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  const { mos, roundTrip, loss } = await current.stats();
  if (mos === null) return;
  $('quality').setAttribute('value', String(mos));
  const words = mos >= 3.8 ? 'Good' : mos >= 3 ? 'Fair' : 'Poor';
  $('quality-text').textContent = `${words}, ${Math.round(1000 * (roundTrip ?? 0))} ms, ${(100 * loss).toFixed(1)} % lost`;
}, 1000);

window.addEventListener('pagehide', () => client?.close());
const OFFLINE = 'This device is offline.';
window.addEventListener('offline', () => trouble(current ? `${OFFLINE} The call goes on when it is back.` : OFFLINE));
window.addEventListener('online', () => {
  if ($('trouble').textContent?.startsWith(OFFLINE)) trouble('');
});

const token = new URLSearchParams(location.hash.slice(1)).get('token');
if (token) {
  // It is nobody's business who looks at the address, or at the history.
  history.replaceState(null, '', location.pathname);
  enter(token);
} else {
  show();
  $('token').focus();
}
