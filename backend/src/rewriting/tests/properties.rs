//! What holds for any input.

use proptest::prelude::*;

use super::{Case, Outcome, says};

/// Pieces that real and broken mails are made of.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "<p>",
        "</p>",
        "<P ",
        "<div class='x'>",
        "</div>",
        "<table><tr><td>",
        "</td></tr></table>",
        "<!-- x -->",
        "<!--",
        "-->",
        "--!>",
        "<!-->",
        "<!--[if mso]>",
        "<![endif]-->",
        "<!--[if !mso]><!-->",
        "<!--<![endif]-->",
        "<!--[IF gte mso 9]>",
        "<![endif]",
        "<![CDATA[",
        "]]>",
        "<style>",
        "</style>",
        "<script>",
        "</script>",
        "<textarea>",
        "<textarea c=>",
        "<title c = >",
        "</textarea>",
        "<title>",
        "</title>",
        "<noscript>",
        "</noscript>",
        "<svg>",
        "</svg>",
        "<math>",
        "<select>",
        "<body>",
        "</body>",
        "<BODY bgcolor=red>",
        "</html>",
        "<html>",
        "<head>",
        "</head>",
        "<!doctype html>",
        "<plaintext>",
        "<template>",
        "<",
        ">",
        "</",
        "/>",
        "\"",
        "'",
        "=",
        "`",
        " ",
        "\n",
        "\t",
        "\r\n",
        "\u{0}",
        "\u{FEFF}",
        "ä",
        "💌",
        "&",
        "&amp;",
        "&amp",
        "{{",
        "}}",
        "<a ",
        "<A\n",
        "<area ",
        "<v:roundrect ",
        "</a>",
        "href",
        "href=",
        "HREF =\n",
        " href=\"",
        "href='",
        "https://a.example/",
        "http://b.example/?q=1&amp;r=2",
        "//c.example",
        "https://münchen.example/ä",
        "mailto:x@y.example",
        "#top",
        "kraiter-unsubscribe",
        "data-no-track",
        "<p data-kraiter-no-track>",
        "clicktracking=off",
        "rel=unsubscribe",
        "<img src=\"https://t.example/o/x.gif\">",
        "https://t.example/c/AQEB",
        "<img src=",
        "https://t.example/o/",
        "words",
        "<wbr>",
        "<o:p></o:p>",
        "<?xml?>",
        "<!x>",
    ]);
    let link = (0..4_u8, 0..5_u8, "[ -~ä]{0,12}").prop_map(|(tag, quote, tail)| {
        let tag = ["a", "A", "area", "v:rect"][usize::from(tag)];
        let url = format!("https://l.example/{}", tail.replace(['"', '\''], ""));
        match quote {
            0 => format!("<{tag} href=\"{url}\">"),
            1 => format!("<{tag} class=x href='{url}' rel=y>"),
            2 => format!("<{tag} href={url}>"),
            3 => format!("<!--[if mso]><{tag} href=\"{url}\">x</{tag}><![endif]-->"),
            _ => format!("<p><!--[if mso]><{tag}\nHREF = '{url}'><![endif]--></p>"),
        }
    });
    prop_oneof![6 => fixed.prop_map(str::to_owned), 3 => link, 1 => any::<String>()]
}

pub(in crate::rewriting) fn mail() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat())
}

fn rewrite(html: &str) -> Outcome {
    Case::of(html).rewrite()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn bytes_that_are_no_link_and_no_pixel_come_out_as_they_went_in(html in mail()) {
        prop_assert_eq!(rewrite(&html).undone(), html);
    }

    #[test]
    fn rewriting_twice_changes_nothing(html in mail()) {
        let once = rewrite(&html);
        let twice = rewrite(&once.html);
        prop_assert_eq!(&twice.html, &once.html);
        prop_assert!(twice.wrapped().is_empty());
    }

    #[test]
    fn every_tracked_url_leads_where_the_link_did(html in mail()) {
        for link in rewrite(&html).links {
            if let Some(tracked) = link.tracked {
                let (index, url) = (link.index.unwrap(), link.url.unwrap());
                prop_assert_eq!(says(&tracked).unwrap(), format!("click {index} {url}"));
            }
        }
    }

    #[test]
    fn any_text_at_all_is_rewritten(text in any::<String>()) {
        let mut case = Case::of(&text).options(|options| options.track_text = true);
        case.text = Some(&text);
        prop_assert_eq!(case.rewrite().undone(), text);
    }
}
