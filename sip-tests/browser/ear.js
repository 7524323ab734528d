// What comes is not only played, but looked at too: `tone` tells the loudest frequency of it in Hz, and how loud that is in dB.

let analyser = null;

export function listen(stream) {
  const context = new AudioContext();
  analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
  context.createMediaStreamSource(stream).connect(analyser);
}

window.tone = () => {
  if (!analyser) return [0, -200];
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  const loudest = levels.indexOf(Math.max(...levels));
  return [(loudest * analyser.context.sampleRate) / analyser.fftSize, levels[loudest]];
};
