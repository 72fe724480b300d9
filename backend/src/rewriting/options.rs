//! What a request may choose about the rewriting of its mail.

/// Defaults are what a request gets that says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Put the pixel in.
    pub track_opens: bool,
    /// Wrap links; off, nothing is wrapped in the text part either.
    pub track_clicks: bool,
    /// Wrap URLs of the text part as well. They become long, so this is asked for.
    pub track_text: bool,
    /// Leave links alone whose path or query says unsubscribe or opt-out.
    pub detect_unsubscribe: bool,
    pub pixel: PixelPosition,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            track_opens: true,
            track_clicks: true,
            track_text: false,
            detect_unsubscribe: true,
            pixel: PixelPosition::Bottom,
        }
    }
}

/// Where the pixel stands in the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelPosition {
    /// Last in the body. Clients that cut long mails off cut the pixel off as well.
    #[default]
    Bottom,
    /// First in the body.
    Top,
}
