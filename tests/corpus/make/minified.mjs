// What a component library renders to: one line, everything inlined, and the same content twice,
// once for desktops and once for phones.

import { campaignLink, writer } from './words.mjs';

export function minified({ seed, brand, host, campaign, cards }) {
  const words = writer(seed);
  const p = 'style="font-size:16px;line-height:26px;margin:16px 0;color:#404040;font-family:-apple-system,BlinkMacSystemFont,Roboto,sans-serif"';
  const head = `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd"><html dir="ltr" lang="en"><head><link rel="preload" as="image" href="https://static.${host}/logo.png"/><meta content="text/html; charset=UTF-8" http-equiv="Content-Type"/><meta name="x-apple-disable-message-reformatting"/><!--$--></head>`;
  const hidden = `<div style="display:none;overflow:hidden;line-height:1px;opacity:0;max-height:0;max-width:0" data-skip-in-text="true">${brand}<div>${' \u200c\u200b\u200d\u200e\u200f\ufeff'.repeat(60)}</div></div>`;
  const card = () => {
    const href = campaignLink(words, host, campaign);
    const [title, text] = [words.title(), words.paragraph(2)];
    const shown = (device) => `<div class="${device}-only" style="${device === 'phone' ? 'display:none;mso-hide:all' : 'display:block'}"><a href="${href}" style="line-height:100%;text-decoration:none;display:inline-block;max-width:100%;mso-padding-alt:0px;background-color:#656ee8;border-radius:5px;color:#fff;padding:10px 10px 10px 10px" target="_blank"><span><!--[if mso]><i style="mso-font-width:500%;mso-text-raise:15" hidden>&#8202;</i><![endif]--></span><span style="max-width:100%;display:inline-block;line-height:120%;mso-padding-alt:0px;mso-text-raise:7.5px">${title}</span><span><!--[if mso]><i style="mso-font-width:500%" hidden>&#8202;&#8203;</i><![endif]--></span></a><p ${p}>${text}</p></div>`;
    return `<table align="center" width="100%" border="0" cellPadding="0" cellSpacing="0" role="presentation" style="max-width:37.5em"><tbody><tr style="width:100%"><td>${shown('desktop')}${shown('phone')}</td></tr></tbody></table><hr style="width:100%;border:none;border-top:1px solid #eaeaea"/>`;
  };
  return `${head}<body style="background-color:#f6f9fc">${hidden}<table align="center" role="presentation"><tbody><tr><td>${Array.from({ length: cards }, card).join('')}<p ${p}>${brand} · <a href="https://${host}/settings/mail" target="_blank">Settings</a></p></td></tr></tbody></table><!--/$--></body></html>`;
}
