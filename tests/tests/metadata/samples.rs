//! Small real files of each kind, made here.

use std::fs;
use std::path::{Path, PathBuf};

/// A file to extract from: its name, and its bytes.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Sample {
    pub(crate) fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join(self.name);
        fs::write(&path, &self.bytes).expect("written");
        path
    }
}

pub(crate) fn all() -> Vec<Sample> {
    let sample = |name, bytes| Sample { name, bytes };
    vec![
        sample("picture.png", png()),
        sample("photo.jpg", jpeg()),
        sample("scan.tiff", tiff()),
        sample("small.gif", gif()),
        sample("sound.wav", wav()),
        sample("song.mp3", mp3()),
        sample("song.flac", flac()),
        sample("song.opus", opus()),
        sample("film.mp4", mp4()),
        sample("film.mkv", matroska()),
        sample("paper.pdf", pdf()),
        sample("packed.pdf", packed_pdf()),
        sample("text.txt", "Größe\n".into()),
    ]
}

/// 16 x 9 pixels, with Exif.
pub(crate) fn png() -> Vec<u8> {
    let chunk = |kind: &[u8], body: &[u8]| {
        let checked = [kind, body].concat();
        [&(body.len() as u32).to_be_bytes()[..], &checked, &crc32(&checked).to_be_bytes()].concat()
    };
    let header = [&16_u32.to_be_bytes()[..], &9_u32.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let rows = vec![0; 9 * 17];
    let chunks = [chunk(b"IHDR", &header), chunk(b"eXIf", &tiff()), chunk(b"IDAT", &zlib(&rows)), chunk(b"IEND", b"")];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat()
}

/// 40 x 30 pixels by its header, with Exif. There is no picture in it.
pub(crate) fn jpeg() -> Vec<u8> {
    let segment =
        |marker: u8, body: &[u8]| [&[0xff, marker], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat();
    let frame = [8, 0, 30, 0, 40, 1, 1, 0x11, 0];
    [
        vec![0xff, 0xd8],
        segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
        segment(0xe1, &[b"Exif\0\0", &tiff()[..]].concat()),
        segment(0xc0, &frame),
        segment(0xda, &[1, 1, 0, 0, 63, 0]),
        vec![0, 0xff, 0xd9],
    ]
    .concat()
}

/// 40 x 30 pixels, on its left side, by a camera.
pub(crate) fn tiff() -> Vec<u8> {
    let texts: [&[u8]; 3] = [b"Maker\0", b"Model 1\0", b"2026:08:01 12:30:00\0"];
    let count: u16 = 7;
    let after = 8 + 2 + 12 * u32::from(count) + 4;
    let inner = after + (texts[0].len() + texts[1].len()) as u32;
    let field = |tag: u16, kind: u16, count: u32, value: u32| {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let text = |tag, at: u32, text: &[u8]| field(tag, 2, text.len() as u32, at);
    let fields = [
        field(0x100, 4, 1, 40),
        field(0x101, 4, 1, 30),
        field(0x103, 3, 1, 1),
        text(0x10f, after, texts[0]),
        text(0x110, after + texts[0].len() as u32, texts[1]),
        field(0x112, 3, 1, 6),
        field(0x8769, 4, 1, inner),
    ];
    let taken = text(0x9003, inner + 2 + 12 + 4, texts[2]);
    let inner = [&1_u16.to_le_bytes()[..], &taken, &[0; 4], texts[2]].concat();
    [b"II\x2a\0\x08\0\0\0", &count.to_le_bytes()[..], &fields.concat(), &[0; 4], texts[0], texts[1], &inner].concat()
}

/// 3 x 2 pixels.
pub(crate) fn gif() -> Vec<u8> {
    b"GIF89a\x03\0\x02\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x03\0\x02\0\0\x02\x03\x84\x8f\x50\0;".to_vec()
}

/// Half a second, with a title.
pub(crate) fn wav() -> Vec<u8> {
    let chunk = |kind: &[u8], body: &[u8]| [kind, &(body.len() as u32).to_le_bytes(), body].concat();
    let format = [
        &1_u16.to_le_bytes()[..],
        &1_u16.to_le_bytes(),
        &8000_u32.to_le_bytes(),
        &8000_u32.to_le_bytes(),
        &[1, 0, 8, 0],
    ];
    let list = [b"INFO".to_vec(), chunk(b"INAM", b"A sound\0"), chunk(b"IART", b"Nobody\0\0")].concat();
    let body = [chunk(b"fmt ", &format.concat()), chunk(b"LIST", &list), chunk(b"data", &[128; 4000])].concat();
    chunk(b"RIFF", &[b"WAVE".to_vec(), body].concat())
}

/// MPEG 1 layer III, 128 kbit/s, 44.1 kHz: 40 frames of 1152 samples, with ID3v2.4.
pub(crate) fn mp3() -> Vec<u8> {
    let text =
        |id: &[u8], text: &str| [id, &(text.len() as u32 + 1).to_be_bytes(), &[0, 0, 3], text.as_bytes()].concat();
    let frames = [
        text(b"TIT2", "Ein Lied"),
        text(b"TPE1", "Die Sängerin"),
        text(b"TALB", "Platte"),
        text(b"TRCK", "3/12"),
        text(b"TDRC", "1999-05-01"),
    ]
    .concat();
    let size = frames.len() as u32;
    let syncsafe = [size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127].map(|byte| byte as u8);
    let frame = [&[0xff, 0xfb, 0x90, 0x00][..], &[0; 413]].concat();
    [b"ID3\x04\0\0".to_vec(), syncsafe.to_vec(), frames, frame.repeat(40)].concat()
}

fn vorbis_comment() -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    [text("tests"), 2_u32.to_le_bytes().to_vec(), text("TITLE=Song"), text("ARTIST=Singer")].concat()
}

/// Two seconds by its header; there are no frames in it.
pub(crate) fn flac() -> Vec<u8> {
    let block = |kind: u8, body: &[u8]| [&[kind], &(body.len() as u32).to_be_bytes()[1..], body].concat();
    // 8 kHz, one channel of 16 bits, 16,000 samples.
    let packed: u64 = 8000 << 44 | 15 << 36 | 16_000;
    let info = [&[16, 0, 16, 0, 0, 0, 0, 0, 0, 0][..], &packed.to_be_bytes(), &[0; 16]].concat();
    [b"fLaC".to_vec(), block(0, &info), block(0x84, &vorbis_comment())].concat()
}

/// One second of Opus in three pages of Ogg.
pub(crate) fn opus() -> Vec<u8> {
    let page = |kind: u8, number: u32, position: u64, body: &[u8]| {
        let mut lacing = vec![255; body.len() / 255];
        lacing.push((body.len() % 255) as u8);
        let head = |sum: u32| {
            [
                b"OggS\0",
                &[kind][..],
                &position.to_le_bytes(),
                &7_u32.to_le_bytes(),
                &number.to_le_bytes(),
                &sum.to_le_bytes(),
                &[lacing.len() as u8],
                &lacing,
                body,
            ]
            .concat()
        };
        head(ogg_crc(&head(0)))
    };
    let head = [b"OpusHead\x01\x01", &312_u16.to_le_bytes()[..], &48_000_u32.to_le_bytes(), &[0, 0, 0]].concat();
    let tags = [b"OpusTags".to_vec(), vorbis_comment()].concat();
    [page(2, 0, 0, &head), page(0, 1, 0, &tags), page(4, 2, 48_312, &[0xf8; 600])].concat()
}

/// 2.5 s, 320 x 180, as players need it first: `moov` before the rest.
pub(crate) fn mp4() -> Vec<u8> {
    let part = |kind: &[u8], body: &[u8]| [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let mvhd =
        words(&[0, 0, 0, 1000, 2500, 0x10000, 0x0100_0000, 0, 0, 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000]);
    let mvhd = [mvhd, words(&[0, 0, 0, 0, 0, 0, 2])].concat();
    let matrix = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000];
    let tkhd = [words(&[7, 0, 0, 1, 0, 2500, 0, 0, 0, 0]), words(&matrix), words(&[320 << 16, 180 << 16])].concat();
    let moov = [part(b"mvhd", &mvhd), part(b"trak", &part(b"tkhd", &tkhd))].concat();
    [part(b"ftyp", b"isom\0\0\x02\0isommp42"), part(b"moov", &moov), part(b"mdat", &[0; 64])].concat()
}

/// 1.5 s, 64 x 48, with a title.
pub(crate) fn matroska() -> Vec<u8> {
    let element = |id: &[u8], body: &[u8]| [id, &(body.len() as u32 | 0x1000_0000).to_be_bytes(), body].concat();
    let info = [
        element(&[0x2a, 0xd7, 0xb1], &1_000_000_u32.to_be_bytes()),
        element(&[0x44, 0x89], &1500_f64.to_be_bytes()),
        element(&[0x7b, 0xa9], b"A film"),
    ];
    let video = [element(&[0xb0], &[64]), element(&[0xba], &[48])].concat();
    let track = [element(&[0xd7], &[1]), element(&[0x83], &[1]), element(&[0xe0], &video)].concat();
    let segment = [
        element(&[0xec], &[0; 20]),
        element(&[0x15, 0x49, 0xa9, 0x66], &info.concat()),
        element(&[0x16, 0x54, 0xae, 0x6b], &element(&[0xae], &track)),
        element(&[0x1f, 0x43, 0xb6, 0x75], &[0xe7, 0x81, 0]),
    ];
    let head = element(&[0x42, 0x82], b"matroska");
    [element(&[0x1a, 0x45, 0xdf, 0xa3], &head), element(&[0x18, 0x53, 0x80, 0x67], &segment.concat())].concat()
}

/// Three pages by its tree, with a title in UTF-16.
pub(crate) fn pdf() -> Vec<u8> {
    let title: String = "Größe".encode_utf16().map(|unit| format!("{unit:04X}")).collect();
    format!(
        "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Count 3/Kids[]>>\nendobj\n\
         3 0 obj\n<</Title<FEFF{title}>/Author(An \\(old\\) author)>>\nendobj\n\
         trailer\n<</Size 4/Root 1 0 R/Info 3 0 R>>\nstartxref\n0\n%%EOF\n"
    )
    .into_bytes()
}

/// The same with all its objects in a compressed stream, as of PDF 1.5.
pub(crate) fn packed_pdf() -> Vec<u8> {
    let objects = ["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 3/Kids[]>>", "<</Title(Packed)>>"];
    let mut at = 0;
    let mut head = String::new();
    for (index, object) in objects.iter().enumerate() {
        head += &format!("{} {at} ", index + 1);
        at += object.len() + 1;
    }
    let packed = zlib(format!("{head}{}", objects.join(" ")).as_bytes());
    let stream = format!(
        "%PDF-1.5\n4 0 obj\n<</Type/ObjStm/N 3/First {}/Filter/FlateDecode/Length {}>>stream\n",
        head.len(),
        packed.len()
    );
    let end = "\nendstream\nendobj\n5 0 obj\n<</Type/XRef/Size 6/Root 1 0 R/Info 3 0 R/Length 0>>stream\n\nendstream\nendobj\n";
    [stream.as_bytes(), &packed, end.as_bytes(), b"startxref\n0\n%%EOF\n"].concat()
}

/// One stored block.
pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let (mut a, mut b) = (1_u32, 0_u32);
    for &byte in bytes {
        a = (a + u32::from(byte)) % 65521;
        b = (b + a) % 65521;
    }
    let length = bytes.len() as u16;
    [&[0x78, 0x01, 1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), bytes, &(b << 16 | a).to_be_bytes()]
        .concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for &byte in bytes {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !sum
}

fn ogg_crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |mut sum, &byte| {
        sum ^= u32::from(byte) << 24;
        for _ in 0..8 {
            sum = sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 };
        }
        sum
    })
}
