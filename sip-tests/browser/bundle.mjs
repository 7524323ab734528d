// JsSIP for a page.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const here = import.meta.dirname ?? dirname(new URL(import.meta.url).pathname);

// JsSIP as npm has it is CommonJS: one script of it and all that it requires.
export function bundle() {
  const modules = new Map();
  const visit = (path) => {
    if (modules.has(path)) return path;
    const text = readFileSync(path, 'utf8');
    modules.set(path, '');
    if (path.endsWith('.json')) {
      modules.set(path, `module.exports = ${text};`);
      return path;
    }
    const require = createRequire(path);
    const of = (name) => {
      // These are Node's own names as well, and `debug` has another file for browsers.
      if (name === 'debug') return require.resolve('debug/src/browser.js');
      return require.resolve(name === 'events' ? 'events/' : name);
    };
    modules.set(path, text.replace(/\brequire\((['"])(.+?)\1\)/g, (_, quote, name) => `require(${JSON.stringify(visit(of(name)))})`));
    return path;
  };
  const entry = visit(createRequire(join(here, 'package.json')).resolve('jssip'));
  const table = [...modules].map(([path, text]) => `${JSON.stringify(path)}: function (module, exports, require) {\n${text}\n}`);
  return `const JsSIP = ((table) => {
    const loaded = {};
    const process = { env: {} };
    const require = (path) => {
      if (!loaded[path]) {
        loaded[path] = { exports: {} };
        table[path](loaded[path], loaded[path].exports, require);
      }
      return loaded[path].exports;
    };
    return require(${JSON.stringify(entry)});
  })({\n${table.join(',\n')}\n});`;
}
