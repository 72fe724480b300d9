//! What each error code means, why it comes and what to do: the text of `/errors` and docs/errors.md.

use super::ErrorCode;

/// The documentation of one code.
pub(super) struct Explanation {
    pub(super) meaning: &'static str,
    /// Likely causes, the most likely first.
    pub(super) causes: &'static [&'static str],
    pub(super) cure: &'static str,
}

impl ErrorCode {
    pub(super) fn explanation(self) -> Explanation {
        let (meaning, causes, cure): (_, &[_], _) = match self {
            Self::InvalidJson => (
                "The body, or a line of it, is not a JSON text, so nothing of it was read.",
                &[
                    "A quote, comma or bracket is missing, or something follows the JSON.",
                    "A line break or another control character stands raw in a string.",
                    "The body is empty, or was cut off.",
                ],
                "Let a JSON library write the body. `detail` names line and column where reading stopped.",
            ),
            Self::InvalidEncoding => (
                "The bytes of the body did not arrive whole or are not in the encoding that the request names.",
                &[
                    "The connection ended before the body did.",
                    "`content-encoding` says gzip or deflate and the body is something else.",
                ],
                "Send the request again; compress only where the operation takes it (`/ingest`), and say so truthfully.",
            ),
            Self::InvalidParameter => (
                "A parameter of the path or the query string cannot be used.",
                &[
                    "A name is misspelt or not known here.",
                    "`limit` is not from 1 to 1000.",
                    "`cursor` was altered or comes from another list.",
                    "A time is not RFC 3339, or `from` is not before `to`.",
                ],
                "`field` names the parameter where there is one, `detail` says what it takes. Pass `nextCursor` on unchanged.",
            ),
            Self::MissingField => (
                "The body lacks a field that this operation needs.",
                &[
                    "The field's name is written in another way: names are in camelCase.",
                    "A batch's first line and its recipient both lack `html`.",
                ],
                "Add the field that `detail` names.",
            ),
            Self::UnknownField => (
                "The body has a field that this operation does not know. Nothing was done, so that a misspelt option is not silently ignored.",
                &[
                    "The field's name is misspelt.",
                    "The field belongs to another operation or to a newer version.",
                ],
                "Remove or rename the field that `field` names.",
            ),
            Self::WrongType => (
                "A field holds JSON of another type than it takes.",
                &[
                    "A number is sent as a text, or a text as a number.",
                    "An array or a bare value is sent where an object belongs.",
                    "`null` is sent where a value is needed.",
                ],
                "Send the type that the schema of the operation names; `field` says where.",
            ),
            Self::InvalidValue => (
                "A field has the right type and a value that is not allowed.",
                &[
                    "An id or a name has characters or a length that ids and names cannot have.",
                    "A number is out of its range, or a time too far away.",
                    "A value is not one of those listed.",
                ],
                "`field` names the field, `detail` says what it takes.",
            ),
            Self::InvalidEmail => (
                "A contact is named by something that is neither an email address nor the id of a contact.",
                &[
                    "The address has no `@`, no domain, or a display name around it.",
                    "The address in a path is not percent-encoded.",
                    "It is longer than 254 bytes.",
                ],
                "Send the bare address, such as ada@example.com, or the id (`con_…`) as answers show it.",
            ),
            Self::MailTooComplex => (
                "The HTML needs more memory to be read than one mail may take.",
                &[
                    "A tag or an attribute goes on for megabytes, as a picture inlined into `style` does.",
                    "A quote that is never closed makes the rest of the mail one tag.",
                ],
                "Close the quote, or let the mail refer to large pictures instead of holding them.",
            ),
            Self::UnsupportedMediaType => (
                "The content type or the content encoding of the body is not one that this operation takes.",
                &[
                    "`curl -d` without a header calls its body a form.",
                    "A batch is sent as application/json, or one mail as application/x-ndjson.",
                    "The body is compressed where that is not taken.",
                ],
                "Send `content-type: application/json`, or `application/x-ndjson` for operations on lines.",
            ),
            Self::BodyTooLarge => (
                "The body, or one line of it, has more bytes than are taken.",
                &[
                    "The mail holds pictures as data URLs.",
                    "Many lines were joined to one.",
                ],
                "Keep a JSON body and each line under 16 MiB, a mail under 10 MiB, a line of `/sends/status` under 64 KiB.",
            ),
            Self::MissingApiKey => (
                "The request has no API key.",
                &[
                    "The header `authorization` is missing or does not begin with `Bearer`.",
                    "A proxy on the way removes the header.",
                ],
                "Send `authorization: Bearer krt_…`. Keys are made with `kraiter api-key create`.",
            ),
            Self::InvalidApiKey => (
                "There is no such API key here.",
                &[
                    "The key was cut off or altered when it was copied.",
                    "It belongs to another installation.",
                ],
                "Use the key exactly as it was shown when it was made. If it is lost, make a new one.",
            ),
            Self::RevokedApiKey => (
                "The API key was valid once and has been revoked.",
                &["Somebody replaced it, or took the access back."],
                "Use another key; `kraiter api-key list` shows those that are valid.",
            ),
            Self::InvalidIngestSecret => (
                "The request does not carry the secret that edges deliver events with.",
                &[
                    "The edge has another secret than the service, as after a rotation.",
                    "An API key was sent; tenants' keys do not open this path.",
                ],
                "Configure edge and service with the same ingest secret. Edges keep their events and try again.",
            ),
            Self::MissingScope => (
                "The API key is valid and may not do this.",
                &[
                    "The key was made for another task: `render` for sending, `read` for reading, `admin` for settings and personal data.",
                ],
                "Use a key with the scope that `detail` names, or make one.",
            ),
            Self::OperatorBlock => (
                "The block was set by the operator of the service, who alone can lift it.",
                &["The operator has stopped a send or host, for example as phishing."],
                "Ask the operator of the service.",
            ),
            Self::NotFound => (
                "The service has nothing at this path.",
                &[
                    "The path is misspelt, or has a slash too many.",
                    "An id in the path is empty or not percent-encoded.",
                    "The request reached another service or version.",
                ],
                "Compare the path with `/openapi.json`.",
            ),
            Self::UnknownSend => (
                "The tenant has no send of this id.",
                &[
                    "The send was never registered, or by another tenant.",
                    "Its contact was erased, or retention removed it.",
                    "The mail was rewritten with `dryRun`.",
                ],
                "Register the send with `/rewrite` or `/sends` first. Ids are compared to the letter.",
            ),
            Self::UnknownContact => (
                "The tenant has no such contact.",
                &[
                    "No mail to the address was registered yet.",
                    "The contact was erased.",
                    "The id belongs to another tenant.",
                ],
                "Contacts come to be when a mail to them is registered; give the address instead of an id to make one.",
            ),
            Self::ContactErased => (
                "The contact of this id was erased for good; nothing is kept of it, and its id cannot be used again.",
                &["A system still holds the id of somebody who asked to be forgotten."],
                "Forget the id. If there is a right to write to the person, give the address: it makes a new contact.",
            ),
            Self::UnknownCampaign => (
                "The tenant has no campaign of this name.",
                &[
                    "Nothing has happened yet to a send of it.",
                    "The name is written in another way: names are compared to the letter.",
                ],
                "List the names with `/campaigns`; percent-encode the name in the path.",
            ),
            Self::UnknownBlock => (
                "The tenant has no such block.",
                &[
                    "It was lifted before.",
                    "Kind or value differ from those it was set with.",
                ],
                "List blocks with `/blocks`. If it was to be lifted, nothing is left to do.",
            ),
            Self::MethodNotAllowed => (
                "The path exists and does not take this method.",
                &[
                    "A GET is sent where a POST belongs, or the reverse.",
                    "A redirect on the way made a GET of a POST.",
                ],
                "The header `allow` lists the methods that the path takes.",
            ),
            Self::SendConflict => (
                "The send id was registered before for another contact. Nothing was changed.",
                &[
                    "One id is used for a whole campaign.",
                    "Two systems make up ids independently.",
                ],
                "Give each mail to each contact an id of its own, or leave `sendId` out and take the one that is made.",
            ),
            Self::TooManyBlocks => (
                "The tenant has as many blocks as edges will hold.",
                &["Blocks are set by a program and never lifted."],
                "Lift blocks that are no longer needed. A host covers all its subdomains.",
            ),
            Self::Saturated => (
                "More events are waiting than can be written right now. Nothing of the batch was stored.",
                &[
                    "A burst, such as the replay of a long journal.",
                    "The database or its disk is too slow for the traffic.",
                ],
                "Send the same batch again after `retry-after`; events are never counted twice. If it lasts, see `kraiter_ingest_waiting_events` in the metrics.",
            ),
            Self::QueryTooSlow => (
                "The question is valid, and the database could not answer it in the time that a request has.",
                &[
                    "A long time or all contacts are asked about at once.",
                    "The database is busy with something else.",
                ],
                "Ask for a shorter time, a campaign or fewer items, or try again after `retry-after`.",
            ),
            Self::DatabaseUnavailable => (
                "The service cannot reach its database right now, or the database is not migrated yet. Nothing was changed.",
                &[
                    "The database restarts or fails over.",
                    "A new version was started before `kraiter migrate` ran.",
                ],
                "Try again after `retry-after`. `/readyz` tells when requests are served again.",
            ),
            Self::Internal => (
                "The service failed for a reason of its own. The cause is in its log.",
                &["A fault in the service, or in the data that it found."],
                "Try again once; if it stays, send the time of the request to whoever runs the service.",
            ),
            Self::InvalidHeader => (
                "A header of the request has a value that cannot be used.",
                &[
                    "`idempotency-key` is empty, sent twice, longer than 255 characters, or not plain ASCII.",
                ],
                "`field` names the header, `detail` says what it takes. A UUID makes a good key.",
            ),
            Self::IdempotencyKeyReused => (
                "The `idempotency-key` came with another request within the last 24 hours, so nothing was done.",
                &[
                    "A program uses one key for several requests.",
                    "The body was made anew for a retry, with another time, order of fields or white space.",
                ],
                "Make a new key for each request, and repeat a request byte for byte.",
            ),
            Self::IdempotencyKeyInUse => (
                "A request with the same `idempotency-key` has not been answered yet.",
                &[
                    "A client ran out of patience and sent it again.",
                    "The service ended while it was at it; the key is free again within 15 seconds.",
                ],
                "Send the same request again after `retry-after`.",
            ),
            Self::RateLimited => (
                "The API key has made more requests than its limit at this replica allows. Nothing was done.",
                &[
                    "A loop without a pause, or retries without waiting.",
                    "Mails are rewritten one by one where a batch would do.",
                ],
                "Wait as long as `retry-after` says; `ratelimit` tells in each answer how many requests remain. A batch counts as one request. The operator sets the limit (`KRAITER_RATE_LIMIT`).",
            ),
            Self::RefusedUrl => (
                "The URL leads, or may lead, to where webhooks are not sent: a private, loopback or link-local address, or a name that cannot be resolved.",
                &[
                    "The receiver stands in a private network.",
                    "The name is misspelt, or not in the public DNS yet.",
                ],
                "Use a URL that the public internet reaches. The operator can allow networks; docs/webhooks.md says how.",
            ),
            Self::UnknownWebhook => (
                "The tenant has no webhook of this id.",
                &["It was deleted.", "The id belongs to another tenant."],
                "List webhooks with `/webhooks`.",
            ),
            Self::TooManyWebhooks => (
                "The tenant has as many webhooks as it may have.",
                &["Webhooks are made by a program and never deleted."],
                "Delete webhooks that are no longer needed, or let one receiver hand events on.",
            ),
            Self::UnknownPreview => (
                "No mail of the campaign is kept to be looked at.",
                &[
                    "No batch of the campaign said `keepPreview`.",
                    "The mail that was kept is older than the tenant keeps events.",
                ],
                "Send `keepPreview: true` in the first line of a batch.",
            ),
            Self::TooManyStreams => (
                "As many streams are open as one replica serves a tenant.",
                &[
                    "Streams are opened and not closed.",
                    "Every visitor of a page opens a stream of its own.",
                ],
                "Close streams that nobody reads, or read one and hand its events on. Try again after `retry-after`.",
            ),
        };
        Explanation {
            meaning,
            causes,
            cure,
        }
    }
}
