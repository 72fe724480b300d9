// Mails that are large in a way of their own.

import { campaignLink, writer } from './words.mjs';

/** Pictures inside the mail: few links, very long attributes. */
export function inlineImages({ seed, images, bytes }) {
  const words = writer(seed);
  const image = () => {
    const data = Buffer.from(Array.from({ length: bytes }, () => words.next(256))).toString('base64');
    return `<p><a href="https://prints.example/${words.slug()}"><img alt="${words.title()}" src="data:image/png;base64,${data}"></a><br>${words.sentence()}</p>\n`;
  };
  return `<html><body>\n${Array.from({ length: images }, image).join('')}</body></html>\n`;
}

/** Forwarded and forwarded again: each reply one quote and three tables deeper. */
export function deepQuotes({ seed, depth }) {
  const words = writer(seed);
  let mail = '';
  for (let level = 0; level < depth; level += 1) {
    const reply = `<div>${words.paragraph(1)} <a href="https://thread.example/${level}?a=1&amp;b=2">${level}</a></div>`;
    mail += `${reply}<blockquote type="cite" style="margin:0 0 0 .8ex"><table><tbody><tr><td><table><tr><td><div>`;
  }
  return `<html><head></head><body>${mail}${'</div></td></tr></table></td></tr></tbody></table></blockquote>'.repeat(depth)}</body></html>`;
}

/** Word's own HTML: a style sheet, a paragraph class on everything, lists as conditional text. */
export function wordReport({ seed, paragraphs }) {
  const words = writer(seed);
  const styles = Array.from({ length: 60 }, (_, at) => `p.MsoStyle${at}, li.MsoStyle${at}, div.MsoStyle${at}\n\t{mso-style-priority:${at};\n\tmargin:0cm;\n\tfont-size:11.0pt;\n\tfont-family:"Calibri",sans-serif;\n\tmso-fareast-language:EN-US;}`);
  const paragraph = (_, at) => {
    const list = at % 3 === 0 ? `<![if !supportLists]><span style='mso-list:Ignore'>·<span style='font:7.0pt "Times New Roman"'>&nbsp;&nbsp;&nbsp;&nbsp; </span></span><![endif]>` : '';
    const link = at % 4 === 0 ? ` <a\r\nhref="${campaignLink(words, 'minutes.example', 'report', '&amp;')}"><span lang=EN-US style='color:#0563C1'>${words.title()}</span></a>` : '';
    return `<p class=MsoStyle${at % 60} style='margin-left:36.0pt;text-indent:-18.0pt;mso-list:l0 level1 lfo1'>${list}<span lang=EN-US style='font-size:10.0pt;mso-bidi-font-size:\r\n11.0pt'>${words.paragraph(3)}</span>${link}<o:p></o:p></p>\r\n`;
  };
  return `<html xmlns:o="urn:schemas-microsoft-com:office:office" xmlns="http://www.w3.org/TR/REC-html40">\r\n<head>\r\n<meta name=Generator content="Microsoft Word 15 (filtered medium)">\r\n<style><!--\r\n${styles.join('\r\n')}\r\n--></style><!--[if gte mso 9]><xml><o:shapedefaults v:ext="edit" spidmax="1026" /></xml><![endif]-->\r\n</head>\r\n<body lang=EN-GB link=blue vlink=purple>\r\n<div class=WordSection1>\r\n${Array.from({ length: paragraphs }, paragraph).join('')}</div>\r\n</body>\r\n</html>\r\n`;
}

/** An invoice with hundreds of lines, each with links of its own. */
export function invoice({ seed, lines }) {
  const words = writer(seed);
  const line = (_, at) => `<tr class="${at % 2 ? 'odd' : 'even'}"><td align="right">${at + 1}</td><td><a href="https://supply.example/i/${words.id(8)}?order=88&amp;line=${at + 1}">${words.title()}</a></td><td>${1 + words.next(9)}</td><td align="right">${words.next(500)}.${10 + words.next(90)}</td><td><a data-no-track href="https://supply.example/return/${words.id(16)}">return</a></td></tr>\n`;
  return `<!DOCTYPE html><html><head><style>td{padding:2px 6px}.odd{background:#f8f8f8}</style></head><body><h1>Invoice 88</h1><table>\n${Array.from({ length: lines }, line).join('')}</table></body></html>\n`;
}
