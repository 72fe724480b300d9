// The classic campaign editor: a table for everything, banners in comments, a style sheet that
// is longer than the text, and editing attributes left behind.

import { campaignLink, writer } from './words.mjs';

const selectors = ['body', '#bodyTable', '#bodyCell', 'h1', 'h2', 'h3', 'h4', '#templatePreheader', '#templateHeader', '#templateBody', '.columnOne', '.columnTwo', '#templateFooter'];

function style() {
  const rule = (selector) => `\t/*\n\t@tab Page\n\t@section ${selector}\n\t*/\n\t\t${selector}{\n\t\t\t/*@editable*/background-color:#FAFAFA;\n\t\t\t/*@editable*/color:#202020;\n\t\t\t/*@editable*/font-family:Helvetica;\n\t\t\t/*@editable*/font-size:16px;\n\t\t\t/*@editable*/line-height:150%;\n\t\t\t/*@editable*/text-align:left;\n\t\t}`;
  const mobile = selectors.map((selector) => `\t@media only screen and (max-width: 480px){\n\t\t${selector}{\n\t\t\twidth:100% !important;\n\t\t}\n\n}`);
  return `<style type="text/css">\n\t\tp{\n\t\t\tmargin:10px 0;\n\t\t}\n${selectors.map(rule).join('\n')}\n${mobile.join('')}</style>`;
}

const wrap = (inner) => `<table border="0" cellpadding="0" cellspacing="0" width="100%" class="blockTable" style="min-width:100%;">
    <tbody class="blockTableOuter">
        <tr>
            <td valign="top" style="padding:9px" class="blockTableInner">
${inner}
            </td>
        </tr>
    </tbody>
</table>`;

export function classic({ seed, brand, host, campaign, blocks }) {
  const words = writer(seed);
  const link = () => campaignLink(words, host, campaign);
  const kinds = [
    () => `<a href="${link()}" title="" class="" target="_blank">\n<img align="center" alt="${words.title()}" src="https://images.${host}/${words.id(12)}.png" width="564" style="max-width:1200px; padding-bottom:0; display:inline !important; vertical-align:bottom;" class="blockImage">\n</a>`,
    () => `<h1>${words.title()}</h1>\n\n<p>${words.paragraph(4)} <a href="${link()}" target="_blank">${words.title()}</a>. ${words.paragraph(2)}</p>`,
    () => `<table border="0" cellpadding="0" cellspacing="0" class="buttonContentContainer" style="border-collapse: separate !important;border-radius: 4px;background-color: #2BAADF;"><tbody><tr><td align="center" valign="middle" class="buttonContent" style="font-family: Arial; font-size: 16px; padding: 18px;"><a class="button" title="${words.title()}" href="${link()}" target="_blank" style="font-weight: bold;letter-spacing: normal;line-height: 100%;text-align: center;text-decoration: none;color: #FFFFFF;">${words.title()}</a></td></tr></tbody></table>`,
    () => `<!--[if mso]>\n<table align="left" border="0" cellspacing="0" cellpadding="0" width="100%" style="width:100%;">\n<tr>\n<td valign="top" width="282" style="width:282px;">\n<![endif]-->\n<table align="left" class="columnOne"><tbody><tr><td><h3><a href="${link()}">${words.title()}</a></h3>${words.paragraph(3)}</td></tr></tbody></table>\n<!--[if mso]>\n</td>\n<td valign="top" width="282" style="width:282px;">\n<![endif]-->\n<table align="left" class="columnTwo"><tbody><tr><td><h3><a href="${link()}">${words.title()}</a></h3>${words.paragraph(3)}</td></tr></tbody></table>\n<!--[if mso]>\n</td>\n</tr>\n</table>\n<![endif]-->`,
  ];
  const body = Array.from({ length: blocks }, (_, at) => wrap(kinds[at % kinds.length]())).join('');
  return `<!doctype html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office">
\t<head>
\t\t<!-- NAME: 1:2 COLUMN -->
\t\t<!--[if gte mso 15]>
\t\t<xml>
\t\t\t<o:OfficeDocumentSettings>
\t\t\t<o:AllowPNG/>
\t\t\t<o:PixelsPerInch>96</o:PixelsPerInch>
\t\t\t</o:OfficeDocumentSettings>
\t\t</xml>
\t\t<![endif]-->
\t\t<meta charset="UTF-8">
\t\t<title>${brand}</title>
\t${style()}</head>
    <body>
\t\t<!--*|IF:MC_PREVIEW_TEXT|*-->
\t\t<!--[if !gte mso 9]><!----><span class="previewText" style="display:none; font-size:0px;">*|MC_PREVIEW_TEXT|*</span><!--<![endif]-->
\t\t<!--*|END:IF|*-->
        <center>
            <table align="center" border="0" cellpadding="0" cellspacing="0" height="100%" width="100%" id="bodyTable">
                <tr>
                    <td align="center" valign="top" id="bodyCell">
\t\t\t\t\t\t<!-- BEGIN TEMPLATE // -->
${body}
\t\t\t\t\t\t<!-- // END TEMPLATE -->
                    <em>Copyright &copy; *|CURRENT_YEAR|* ${brand}, All rights reserved.</em><br>
<a href="*|UPDATE_PROFILE|*">update your preferences</a> or <a href="*|UNSUB|*">unsubscribe from this list</a>.
                    </td>
                </tr>
            </table>
        </center>
    </body>
</html>
`;
}
