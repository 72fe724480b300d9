//! Files to replay: plain, compressed by gzip, or standard input.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Stdin};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// Beginnings are compared by this many bytes: the first event's id is among them, and no two
/// events have the same.
pub(super) const HEAD_BYTES: usize = 4096;

const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

pub(super) struct Source {
    input: Input,
    /// The first bytes of the content that were read, up to [`HEAD_BYTES`]. Plain files are asked
    /// again instead.
    head: Vec<u8>,
}

enum Input {
    Plain(File),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
    Stdin(Stdin),
}

/// Which file a name stood for when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }

    /// What the name stands for now; `None` if for nothing.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Source {
    /// `-` is standard input.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let head = Vec::new();
        if path == Path::new("-") {
            let input = Input::Stdin(io::stdin());
            return Ok(Self { input, head });
        }
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut magic = [0; 2];
        // By content: rotated files carry all kinds of names.
        let compressed = file.read_at(&mut magic, 0).is_ok() && magic == GZIP_MAGIC;
        let input = match compressed {
            true => Input::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(file)))),
            false => Input::Plain(file),
        };
        Ok(Self { input, head })
    }

    /// Whether more may be written to it later.
    pub(super) fn can_grow(&self) -> bool {
        matches!(self.input, Input::Plain(_))
    }

    /// Whether where one stands in it can be come back to.
    pub(super) fn can_resume(&self) -> bool {
        !matches!(self.input, Input::Stdin(_))
    }

    /// The first `bytes` of the content; of a compressed file, as far as it was read.
    pub(super) fn head(&self, bytes: usize) -> io::Result<Vec<u8>> {
        let Input::Plain(file) = &self.input else {
            return Ok(self.head.iter().copied().take(bytes).collect());
        };
        let mut head = vec![0; bytes];
        let mut filled = 0;
        while let Some(room) = head.get_mut(filled..).filter(|room| !room.is_empty()) {
            match file.read_at(room, filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        head.truncate(filled);
        Ok(head)
    }

    /// Goes on by that many bytes of the content. False: there are fewer.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<bool> {
        if let Input::Plain(file) = &mut self.input {
            let by = i64::try_from(bytes).map_err(io::Error::other)?;
            let at = file.seek(SeekFrom::Current(by))?;
            return Ok(at <= file.metadata()?.len());
        }
        let passed = io::copy(&mut self.by_ref().take(bytes), &mut io::sink())?;
        Ok(passed == bytes)
    }

    /// Which file this is; `None` for standard input.
    pub(super) fn id(&self) -> io::Result<Option<FileId>> {
        Ok(self
            .file()
            .map(File::metadata)
            .transpose()?
            .as_ref()
            .map(FileId::of))
    }

    /// Bytes in the file, compressed if it is.
    pub(super) fn file_bytes(&self) -> io::Result<u64> {
        Ok(self
            .file()
            .map(File::metadata)
            .transpose()?
            .map_or(0, |metadata| metadata.len()))
    }

    /// Bytes of the file that were read from a compressed one.
    pub(super) fn compressed_bytes_read(&self) -> Option<u64> {
        match &self.input {
            Input::Gzip(decoder) => {
                let mut file: &File = decoder.get_ref().get_ref();
                file.stream_position().ok()
            }
            Input::Plain(_) | Input::Stdin(_) => None,
        }
    }

    fn file(&self) -> Option<&File> {
        match &self.input {
            Input::Plain(file) => Some(file),
            Input::Gzip(decoder) => Some(decoder.get_ref().get_ref()),
            Input::Stdin(_) => None,
        }
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.input {
            Input::Plain(file) => return file.read(out),
            Input::Gzip(decoder) => decoder.read(out)?,
            Input::Stdin(stdin) => stdin.read(out)?,
        };
        let missing = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend(out.iter().take(read.min(missing)));
        Ok(read)
    }
}
