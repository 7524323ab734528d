// The media end of a carrier: a port that sends a tone in G.711 A-law to whoever has sent to it (symmetric RTP, RFC 4961), hears the tone that
// comes, and writes down the digits (RFC 4733).

import { createSocket } from 'node:dgram';

const RATE = 8000;
const FRAME = 160;
const EVENTS = 101;

// ITU-T G.711: sign, exponent and mantissa, every other bit turned over.
function encode(sample) {
  const sign = sample >= 0 ? 0x80 : 0;
  const size = Math.min(sample >= 0 ? sample : -sample - 1, 32767);
  const exponent = size < 256 ? 0 : Math.floor(Math.log2(size)) - 7;
  const mantissa = (size >> (exponent === 0 ? 4 : exponent + 3)) & 15;
  return (sign | (exponent << 4) | mantissa) ^ 0x55;
}

function decode(octet) {
  const value = octet ^ 0x55;
  const [exponent, mantissa] = [(value >> 4) & 7, value & 15];
  const size = exponent === 0 ? (mantissa << 4) + 8 : ((mantissa << 4) + 0x108) << (exponent - 1);
  return value & 0x80 ? size : -size;
}

// How much of these samples is this tone, 0 to 1.
function share(samples, hz) {
  let [real, imaginary, all] = [0, 0, 0];
  samples.forEach((sample, at) => {
    const angle = (2 * Math.PI * hz * at) / RATE;
    real += sample * Math.cos(angle);
    imaginary += sample * Math.sin(angle);
    all += sample * sample;
  });
  return all === 0 ? 0 : (2 * (real * real + imaginary * imaginary)) / (samples.length * all);
}

export class Ear {
  digits = '';
  packets = 0;
  #heard = [];
  #digit = null;
  #peer = null;

  constructor(address, port, hz) {
    this.socket = createSocket('udp4');
    this.socket.on('message', (packet, from) => this.#take(packet, from));
    this.socket.bind(port, address);
    const [began, ssrc] = [performance.now(), Math.floor(Math.random() * 2 ** 32)];
    let sent = 0;
    this.timer = setInterval(() => {
      for (; sent * 20 < performance.now() - began; sent += 1) {
        const packet = Buffer.alloc(12 + FRAME);
        packet[0] = 0x80;
        packet[1] = 8;
        packet.writeUInt16BE(sent & 0xffff, 2);
        packet.writeUInt32BE(sent * FRAME, 4);
        packet.writeUInt32BE(ssrc, 8);
        for (let at = 0; at < FRAME; at += 1) {
          packet[12 + at] = encode(Math.round(8000 * Math.sin((2 * Math.PI * hz * (sent * FRAME + at)) / RATE)));
        }
        if (this.#peer) this.socket.send(packet, this.#peer.port, this.#peer.address);
      }
    }, 20);
  }

  #take(packet, from) {
    const kind = packet[1] & 0x7f;
    // RFC 5761 4: RTCP.
    if (packet.length < 12 || (packet[1] >= 192 && packet[1] <= 223)) return;
    this.#peer = from;
    this.packets += 1;
    if (kind === 8) {
      this.#heard.push(...packet.subarray(12).map((octet) => octet));
      this.#heard.splice(0, this.#heard.length - RATE / 2);
    } else if (kind === EVENTS && packet.readUInt32BE(4) !== this.#digit) {
      this.#digit = packet.readUInt32BE(4);
      this.digits += '0123456789*#ABCD'[packet[12]];
    }
  }

  // The last half second was this tone, and nothing else.
  hears(hz) {
    return this.share(hz) > 0.8;
  }

  // How much of the last half second was this tone, 0 to 1.
  share(hz) {
    return this.#heard.length === RATE / 2 ? share(this.#heard.map(decode), hz) : 0;
  }

  close() {
    clearInterval(this.timer);
    this.socket.close();
  }
}
