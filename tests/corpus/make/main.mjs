// Writes every mail of this corpus that is made: MJML compiled, and the generated families.

import { readdirSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import mjml2html from 'mjml';
import { classic } from './classic.mjs';
import { deepQuotes, inlineImages, invoice, wordReport } from './large.mjs';
import { minified } from './minified.mjs';
import { rows } from './rows.mjs';

const corpus = fileURLToPath(new URL('..', import.meta.url));

function write(name, html) {
  mkdirSync(join(corpus, name, '..'), { recursive: true });
  writeFileSync(join(corpus, name), html);
  console.log(`${String(Buffer.byteLength(html)).padStart(8)}  ${name}`);
}

/** MJML draws random ids for what it switches by style sheet. */
function withStableIds(html) {
  const seen = [];
  return html.replace(/\b[0-9a-f]{16}\b/g, (id) => {
    if (!seen.includes(id)) seen.push(id);
    return String(seen.indexOf(id) + 1).padStart(16, '0');
  });
}

const sources = readdirSync(join(corpus, 'mjml')).filter((name) => name.endsWith('.mjml'));
for (const name of sources) {
  const filePath = join(corpus, 'mjml', name);
  const options = { filePath, fonts: {}, ignoreIncludes: false, validationLevel: 'strict' };
  const { html } = await mjml2html(readFileSync(filePath, 'utf8'), options);
  write(`mjml/${name.replace('.mjml', '.html')}`, withStableIds(html));
}

write('builder/classic-shop.html', classic({ seed: 1, brand: 'Copperleaf Cycles', host: 'copperleaf.example', campaign: 'autumn', blocks: 24 }));
write('builder/classic-appeal.html', classic({ seed: 2, brand: 'Lifeboat Fund', host: 'lifeboat.example', campaign: 'appeal_2026', blocks: 6 }));
write('builder/classic-weekly.html', classic({ seed: 3, brand: 'The Tide Table', host: 'tide.example', campaign: 'w47', blocks: 52 }));
write('builder/rows-launch.html', rows({ seed: 4, brand: 'Hollowreed Music', host: 'hollowreed.example', campaign: 'launch', count: 8 }));
write('builder/rows-catalogue.html', rows({ seed: 5, brand: 'Fernhollow', host: 'fernhollow.example', campaign: 'catalogue', count: 22 }));
write('builder/rows-clipped.html', rows({ seed: 6, brand: 'Brick and Bough', host: 'bough.example', campaign: 'everything', count: 48 }));
write('builder/minified-welcome.html', minified({ seed: 7, brand: 'Nimbus Ledger', host: 'nimbus.example', campaign: 'welcome', cards: 3 }));
write('builder/minified-digest.html', minified({ seed: 8, brand: 'Gannet School', host: 'gannet.example', campaign: 'digest', cards: 25 }));
write('large/invoice.html', invoice({ seed: 9, lines: 400 }));
write('large/inline-images.html', inlineImages({ seed: 10, images: 6, bytes: 36_000 }));
write('large/deep-quotes.html', deepQuotes({ seed: 11, depth: 600 }));
write('large/word-report.html', wordReport({ seed: 12, paragraphs: 320 }));
write('large/year-in-review.html', rows({ seed: 13, brand: 'A Year of Everything', host: 'everything.example', campaign: 'year', count: 285 }));
