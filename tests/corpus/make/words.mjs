// Sentences, names and links from a seed: the same seed gives the same mail on every machine.

const NOUNS = 'harbour lantern orchard kettle ledger meadow quarry ribbon saddle thimble valley willow anchor barrel candle drawer engine feather garden hammer island jacket ladder mirror needle oven pillow river shelf tower'.split(' ');
const VERBS = 'carries finds keeps mends opens paints reads sends shows turns warms weighs wraps brings counts draws'.split(' ');
const ADJECTIVES = 'quiet early bright narrow patient wooden salted distant careful spare green honest winter double plain'.split(' ');

export function writer(seed) {
  let state = seed >>> 0;
  const next = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * below);
  };
  const of = (list) => list[next(list.length)];
  const sentence = () => {
    const text = `the ${of(ADJECTIVES)} ${of(NOUNS)} ${of(VERBS)} the ${of(NOUNS)}${next(3) ? '' : `, and the ${of(NOUNS)} ${of(VERBS)} it again`}`;
    return `${text[0].toUpperCase()}${text.slice(1)}.`;
  };
  return {
    next,
    of,
    title: () => `${of(ADJECTIVES)} ${of(NOUNS)}`.replace(/^./, (first) => first.toUpperCase()),
    sentence,
    paragraph: (sentences) => Array.from({ length: sentences }, sentence).join(' '),
    slug: () => `${of(ADJECTIVES)}-${of(NOUNS)}`,
    id: (length) => Array.from({ length }, () => 'abcdefghijkmnpqrstuvwxyz0123456789'[next(34)]).join(''),
  };
}

/** A link as a campaign tool writes it: `join` is what stands between parameters. */
export function campaignLink(words, host, campaign, join = '&amp;') {
  const path = Array.from({ length: 1 + words.next(3) }, words.slug).join('/');
  const parameters = [
    `utm_source=newsletter`,
    `utm_medium=email`,
    `utm_campaign=${campaign}`,
    `utm_content=${words.id(6)}`,
  ];
  if (words.next(2)) parameters.push(`mc_cid=${words.id(10)}`, `mc_eid=${words.id(10)}`);
  return `https://${host}/${path}?${parameters.join(join)}`;
}
