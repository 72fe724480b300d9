// A drag-and-drop builder: every row is three tables deep, with ghost tables and VML buttons
// for Outlook, and every rule inlined.

import { campaignLink, writer } from './words.mjs';

const font = "font-family:'Helvetica Neue', Helvetica, Arial, sans-serif;";

function button(words, href) {
  const label = words.title();
  return `<div class="alignment" align="center"><!--[if mso]>
<v:roundrect xmlns:v="urn:schemas-microsoft-com:vml" xmlns:w="urn:schemas-microsoft-com:office:word" href="${href}" style="height:42px;width:169px;v-text-anchor:middle;" arcsize="10%" stroke="false" fillcolor="#3a4848">
<w:anchorlock/>
<v:textbox inset="0px,0px,0px,0px">
<center dir="false" style="color:#ffffff;font-family:Arial, sans-serif;font-size:16px">
<![endif]--><a href="${href}" target="_blank" style="text-decoration:none;display:inline-block;color:#ffffff;background-color:#3a4848;border-radius:4px;width:auto;border-top:0px solid transparent;font-weight:400;padding-top:5px;padding-bottom:5px;${font}font-size:16px;text-align:center;mso-border-alt:none;word-break:keep-all;"><span style="padding-left:20px;padding-right:20px;font-size:16px;display:inline-block;letter-spacing:normal;"><span style="word-break:break-word;line-height:32px;">${label}</span></span></a><!--[if mso]></center></v:textbox></v:roundrect><![endif]--></div>`;
}

const row = (number, inner) => `
<table class="row row-${number}" align="center" width="100%" border="0" cellpadding="0" cellspacing="0" role="presentation" style="mso-table-lspace: 0pt; mso-table-rspace: 0pt; background-color: #f5f5f5;">
<tbody><tr><td>
<table class="row-content stack" align="center" border="0" cellpadding="0" cellspacing="0" role="presentation" style="mso-table-lspace: 0pt; mso-table-rspace: 0pt; background-color: #ffffff; color: #000000; width: 600px;" width="600">
<tbody><tr><td class="column column-1" width="100%" style="mso-table-lspace: 0pt; mso-table-rspace: 0pt; font-weight: 400; text-align: left; padding-bottom: 15px; padding-top: 15px; vertical-align: top;">
${inner}
</td></tr></tbody></table>
</td></tr></tbody></table>`;

const block = (kind, inner) => `<table class="${kind}_block block-1" width="100%" border="0" cellpadding="0" cellspacing="0" role="presentation" style="mso-table-lspace: 0pt; mso-table-rspace: 0pt;"><tr><td class="pad" style="padding-bottom:10px;padding-left:20px;padding-right:20px;">${inner}</td></tr></table>`;

export function rows({ seed, brand, host, campaign, count }) {
  const words = writer(seed);
  const link = () => campaignLink(words, host, campaign, words.next(4) ? '&amp;' : '&');
  const body = Array.from({ length: count }, (_, at) => {
    const href = link();
    const image = `<a href="${href}" target="_blank" style="outline:none" tabindex="-1"><img src="https://img.${host}/${words.id(20)}.jpg" style="display:block;height:auto;border:0;width:100%" width="560" alt="${words.title()}"></a>`;
    const text = `<div style="color:#555555;${font}font-size:14px;line-height:1.5;"><p style="margin:0"><strong>${words.title()}</strong></p><p style="margin:0">${words.paragraph(3)}</p></div>`;
    return row(at + 1, block('image', image) + block('text', text) + block('button', button(words, words.next(2) ? href : link())));
  }).join('');
  const social = ['one', 'two', 'three'].map((name) => `<td style="padding:0 2px"><a href="https://social.example/${name}/${words.slug()}" target="_blank"><img src="https://img.${host}/icons/${name}.png" width="32" height="32" alt="${name}"></a></td>`);
  return `<!DOCTYPE html>
<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" lang="en">
<head>
<title>${brand}</title>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8"><meta name="viewport" content="width=device-width, initial-scale=1.0"><!--[if mso]>
<xml><w:WordDocument xmlns:w="urn:schemas-microsoft-com:office:word"><w:DontUseAdvancedTypographyReadingMail/></w:WordDocument>
<o:OfficeDocumentSettings><o:PixelsPerInch>96</o:PixelsPerInch><o:AllowPNG/></o:OfficeDocumentSettings></xml><![endif]-->
<style>
* { box-sizing: border-box; }
a[x-apple-data-detectors] { color: inherit !important; text-decoration: inherit !important; }
@media (max-width:620px) { .row-content { width: 100% !important; } .stack .column { width: 100%; display: block; } }
</style><!--[if mso ]><style>sup, sub { font-size: 100% !important; } sup { mso-text-raise:10% } sub { mso-text-raise:-10% }</style> <![endif]-->
</head>
<body class="body" style="background-color: #f5f5f5; margin: 0; padding: 0; -webkit-text-size-adjust: none; text-size-adjust: none;">
<table class="nl-container" width="100%" border="0" cellpadding="0" cellspacing="0" role="presentation"><tbody><tr><td>${body}
<table class="social-table" width="108px" role="presentation"><tr>${social.join('')}</tr></table>
<div style="text-align:center;font-size:12px"><a href="https://${host}/email/optout?id=${words.id(8)}">Leave</a> <a href="mailto:hello@${host}">Write</a></div>
</td></tr></tbody></table><!-- End -->
</body>
</html>`;
}
