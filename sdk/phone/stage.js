// The tiles of a call with video: a screen large, those who are in it, and oneself.

/** @typedef {import('../tandem.js').Call} Call */

/** @typedef {{ key: string, name: string, screen: boolean, muted: boolean, speaks: boolean, track: MediaStreamTrack | null }} Tile */

/**
 * Who is to be seen, in this order: screens, then those who are there.
 * @param {Call} call
 * @returns {Tile[]}
 */
function tilesOf(call) {
  const screens = call.videos.filter(({ screen }) => screen);
  const faces = call.videos.filter(({ screen }) => !screen);
  const { speaking, remote } = call;
  /** @type {Tile[]} */
  const tiles = screens.map(({ member, name, track }) => ({ key: `screen ${member}`, name: `${name}: screen`, screen: true, muted: false, speaks: false, track }));
  const others = call.members.filter(({ me }) => !me);
  const face = (/** @type {number} */ id) => faces.find(({ member }) => member === id)?.track ?? null;
  if (call.direct) others.push({ id: 0, name: call.peer, muted: remote.muted, held: remote.holds, me: false });
  // Of a large room it is not told who is in it.
  if (others.length === 0) others.push(...faces.map(({ member, name }) => ({ id: member, name, muted: false, held: false, me: false })));
  const listed = others.map(({ id, name, muted, held }) => (
    { key: `face ${id}`, name: held ? `${name} (on hold)` : name, screen: false, muted, speaks: speaking.includes(id), track: face(id) }
  ));
  return [...tiles, ...listed];
}

/** What is shown of a call. */
export class Stage {
  /** @type {Map<string, HTMLElement>} */
  #tiles = new Map();

  /**
   * @param {HTMLElement} place Where the tiles go.
   * @param {HTMLElement} own The one of oneself.
   */
  constructor(place, own) {
    this.place = place;
    this.own = own;
  }

  /**
   * Brings the tiles to what the call is.
   * @param {Call | null} call
   */
  update(call) {
    const is_up = call !== null && call.state === 'up' && (call.direct || call.room !== '');
    const tiles = is_up ? tilesOf(call) : [];
    const alone = is_up && tiles.length === 0;
    const shows = is_up && (call.room !== '' || tiles.some(({ track }) => track) || call.ownCamera !== null || call.ownScreen !== null);
    this.place.hidden = !shows;
    for (const [key, tile] of this.#tiles) {
      if (tiles.some((wanted) => wanted.key === key)) continue;
      tile.remove();
      this.#tiles.delete(key);
    }
    for (const wanted of tiles) this.#draw(wanted);
    this.place.dataset.screen = String(tiles.some(({ screen }) => screen));
    this.place.dataset.many = String(tiles.length > 1);
    this.place.dataset.alone = String(alone);
    this.#preview(is_up ? call : null);
  }

  /** @param {Tile} wanted */
  #draw({ key, name, screen, muted, speaks, track }) {
    const tile = this.#tiles.get(key) ?? this.#make(key, screen);
    const [video] = tile.getElementsByTagName('video');
    play(video, track);
    tile.classList.toggle('speaks', speaks);
    tile.dataset.name = name;
    const [caption] = tile.getElementsByTagName('figcaption');
    const words = muted ? `${name}, muted` : name;
    if (caption.textContent !== words) caption.textContent = words;
    const initial = /** @type {HTMLElement} */ (tile.firstElementChild);
    initial.textContent = /^\+?\d/.test(name) ? '#' : ([...name][0]?.toUpperCase() ?? '');
    // Screens first, whatever came first.
    if (screen && this.place.firstElementChild !== tile) this.place.prepend(tile);
  }

  /**
   * @param {string} key
   * @param {boolean} screen
   */
  #make(key, screen) {
    const tile = document.createElement('figure');
    tile.className = screen ? 'tile screen' : 'tile';
    const initial = document.createElement('span');
    initial.className = 'initial';
    initial.setAttribute('aria-hidden', 'true');
    tile.append(initial, silent(), document.createElement('figcaption'));
    this.place.insertBefore(tile, this.own);
    this.#tiles.set(key, tile);
    return tile;
  }

  /** @param {Call | null} call */
  #preview(call) {
    const track = call?.ownCamera ?? null;
    this.own.hidden = !track;
    const video = this.own.getElementsByTagName('video')[0] ?? silent();
    if (!video.isConnected) this.own.prepend(video);
    play(video, track);
  }
}

/** What comes is heard by the package. */
function silent() {
  const video = document.createElement('video');
  [video.autoplay, video.muted, video.playsInline] = [true, true, true];
  return video;
}

/**
 * @param {HTMLVideoElement} video
 * @param {MediaStreamTrack | null} track
 */
function play(video, track) {
  const before = video.srcObject instanceof MediaStream ? video.srcObject.getTracks()[0] : null;
  video.hidden = !track;
  if (before === track) return;
  video.srcObject = track ? new MediaStream([track]) : null;
}
