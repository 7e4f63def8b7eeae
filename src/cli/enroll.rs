//! `effigy enroll`: a photo, or several views of one person, become an identity file.

use std::path::{Path, PathBuf};

use clap::Args;
use effigy::gather::{Gathered, GatheredView, Gatherer, LeftOut, is_clip};
use effigy::identity::{Basis, EnrollOptions, Enrolled, Enroller, ExaminedPhoto, Remark, Signer};
use effigy::rehearse::Rehearsal;
use effigy::{Error, ErrorKind, Result, files, photo};

use super::outputs::{check_writable, is_same_file};
use super::statement::AudioSpec;
use super::{opener, seal, statement, terminal, user};

pub(crate) use args::EnrollArgs;

mod args;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy revoke ann.effigy

Neither this file nor a copy of it runs on this machine afterwards; `effigy verify` says so. Other machines
do not learn of it: delete the file there.")]
pub(crate) struct RevokeArgs {
    /// The identity file
    #[arg(value_name = "FILE")]
    pub(crate) identity: PathBuf,
    #[command(flatten)]
    pub(crate) keys: opener::KeyArgs,
}

/// Enrols what the photos and clips show and writes the identity and its preview.
pub(crate) fn run(args: &EnrollArgs) -> Result<()> {
    let options = EnrollOptions {
        name: name(args)?,
        basis: args.consent,
        consent_by: consent_by(args)?,
        framing: args.framing,
        face: args.face,
    };
    if args.output.is_dir() {
        let example = args.output.join("me.effigy");
        return Err(Error::new(
            ErrorKind::Config,
            format!("-o must name a file, {} is a folder; try -o {}", args.output.display(), example.display()),
        ));
    }
    files::check_regular(&args.output).map_err(|error| {
        Error::new(ErrorKind::Config, format!("-o must name a file, not {}", args.output.display())).because(error)
    })?;
    let files: Vec<PathBuf> = std::iter::once(&args.photo).chain(&args.more).cloned().collect();
    if files.iter().any(|file| is_same_file(&args.output, file)) {
        return Err(Error::new(
            ErrorKind::Config,
            format!("-o would replace the photo; name another file than {}", args.output.display()),
        ));
    }
    if args.face.is_some() && files.len() > 1 {
        return Err(Error::new(
            ErrorKind::Config,
            "--face chooses a face of one photo; cut the other photos so that each shows one person",
        ));
    }
    let preview = args.output.with_extension("png");
    if preview == args.output {
        return Err(Error::new(
            ErrorKind::Config,
            format!(
                "-o names the identity, its preview is the .png; try -o {}",
                args.output.with_extension("effigy").display()
            ),
        ));
    }
    let seal =
        (!args.seal.is_empty()).then(|| seal::seal_of(&args.seal, args.passphrase_file.as_deref())).transpose()?;
    let sentence = statement::sentence(args.statement.as_deref(), args.statement_audio.as_ref(), &options.consent_by);
    let mut said = statement::read(
        args.statement_audio.as_ref(),
        &args.output,
        sentence.as_deref().unwrap_or_default(),
        seal.is_some(),
    )?;
    let mut progress = terminal::spinner("enrolling");
    let Gathered { mut enrolled, photo, views, left_out } = match &*files {
        [photo] if !is_clip(photo) => enroll_one(photo, &args.output, &options)?,
        files => {
            check_writable(&args.output)?;
            let say = |what: &str| progress.set_message(what.to_owned());
            Gatherer::new()?.gather(files, &options, usize::from(args.views), say)?
        }
    };
    let main = views.first().map_or_else(|| args.photo.clone(), |view| view.file.clone());
    let about = |error: Error| Error::new(error.kind(), format!("cannot enroll {}", main.display())).because(error);
    let consent = &mut enrolled.identity.manifest.consent;
    consent.until_unix_secs = args.until;
    consent.purpose.clone_from(&args.purpose);
    consent.statement_sha256 = sentence.as_ref().map(|sentence| effigy::identity::sha256(sentence.as_bytes()));
    let doubts: Vec<&str> =
        enrolled.remarks.iter().filter(|remark| remark.kind.is_warning()).map(|remark| &*remark.text).collect();
    if args.strict && !doubts.is_empty() {
        progress.finish_and_clear();
        if args.json {
            print_json(args, &photo, &enrolled, (None, None), (&views, &left_out))?;
        }
        let text = format!("the photo may look bad, which --strict refuses: {}", doubts.join("; "));
        return Err(about(Error::new(ErrorKind::Photo, text)));
    }
    // A key that cannot be used is told before the work of seconds.
    let signer = Signer::open_or_create()?;
    if let Some(AudioSpec::Microphone(microphone)) = &args.statement_audio {
        progress.finish_and_clear();
        said =
            Some(statement::record(microphone, &args.output, sentence.as_deref().unwrap_or_default(), seal.is_some())?);
        progress = terminal::spinner("enrolling");
    }
    enrolled.identity.manifest.consent.spoken = said.as_ref().map(|said| said.recording.spoken.clone());
    if !args.no_rehearsal {
        progress.set_message("trying expressions");
        Rehearsal::new()?.rehearse(&mut enrolled.identity)?;
    }
    let identity = &enrolled.identity;
    // The recording first: an identity that speaks of one must not be without it.
    let kept = said.as_ref().map(|said| said.keep(seal.as_ref())).transpose()?;
    match &seal {
        Some(seal) => identity.save_sealed(&args.output, &signer, seal)?,
        None => identity.save(&args.output, &signer)?,
    }
    let is_read = files.iter().any(|file| is_same_file(&preview, file));
    let is_ours = is_free_for_preview(&preview) && !is_read && seal.is_none();
    if is_ours {
        photo::write_png(&preview, &identity.preview())?;
    }
    progress.finish_and_clear();
    for remark in &enrolled.remarks {
        let level = if remark.kind.is_warning() { log::Level::Warn } else { log::Level::Info };
        log::log!(level, "{}", remark.text);
    }
    if args.json {
        print_json(args, &photo, &enrolled, (is_ours.then_some(&*preview), kept), (&views, &left_out))?;
    }
    for LeftOut { file, reason } in &left_out {
        log::warn!("{} is left out: {reason}", file.display());
    }
    if views.len() > 1 {
        views.iter().enumerate().for_each(|(i, view)| log::info!("view {}: {}", i + 1, view_text(view)));
    }
    if let Some(kept) = kept {
        log::info!(
            "recording: {}; the identity holds its hash, `effigy verify --statement-audio` checks it",
            kept.display()
        );
    }
    if is_ours {
        log::info!("preview: {}", preview.display());
    } else if seal.is_some() {
        log::info!("no preview: it would show the face beside the sealed file");
        if preview.exists() {
            log::warn!(
                "a picture of that name is there already; delete it if it shows the face: {}",
                preview.display()
            );
        }
    } else {
        log::warn!("no preview written, it would replace another picture: {}", preview.display());
    }
    log::info!(
        "identity: {} ({} pixels{}; consent: {}{})",
        args.output.display(),
        identity.size_px(),
        if views.len() > 1 { format!(", {} views", views.len()) } else { String::new() },
        options.basis.name(),
        if seal.is_some() { "; sealed" } else { "" }
    );
    log::info!("next: effigy run --identity {}", files::typed(&args.output));
    Ok(())
}

/// Enrols one photo.
fn enroll_one(path: &Path, output: &Path, options: &EnrollOptions) -> Result<Gathered> {
    let bytes = photo::read_bytes(path)?;
    check_writable(output)?;
    let mut enroller = Enroller::new()?;
    let about = |error: Error| Error::new(error.kind(), format!("cannot enroll {}", path.display())).because(error);
    let photo = enroller.examine(&bytes).map_err(about)?;
    let enrolled = enroller.enroll_examined(&photo, options).map_err(about)?;
    let views = vec![GatheredView::main(path, &enrolled.identity)];
    Ok(Gathered { enrolled, photo, views, left_out: Vec::new() })
}

/// One view in words.
fn view_text(view: &GatheredView) -> String {
    let [yaw, pitch, _] = view.yaw_pitch_roll_degrees;
    let side = if yaw < 0.0 { "left" } else { "right" };
    let height = if pitch < 0.0 { "down" } else { "up" };
    let at = view.at_secs.map_or_else(String::new, |secs| format!(" at {secs:.2} s"));
    let mut words = vec![format!("{:.0} degrees to the {side}, {:.0} {height}", yaw.abs(), pitch.abs())];
    if view.mouth > 0.06 {
        words.push("lips apart".to_owned());
    }
    if view.eyes < 0.4 {
        words.push("eyes shut".to_owned());
    }
    format!("{}{at}, {}", view.file.display(), words.join(", "))
}

/// Prints what was found in the main photo, the views, and the files that were made of them.
fn print_json(
    args: &EnrollArgs,
    photo: &ExaminedPhoto,
    enrolled: &Enrolled,
    (preview, recording): (Option<&Path>, Option<&Path>),
    (views, left_out): (&[GatheredView], &[LeftOut]),
) -> Result<()> {
    let is_taken = !args.strict || !enrolled.remarks.iter().any(|remark| remark.kind.is_warning());
    let faces: Vec<_> = photo.faces.iter().map(|face| face.box_px.map(f32::round)).collect();
    let remarks: Vec<_> = enrolled.remarks.iter().map(Remark::json).collect();
    let answer = serde_json::json!({
        "photo": views.first().map(|view| view.file.to_string_lossy()),
        "identity": is_taken.then(|| args.output.to_string_lossy()),
        "preview": preview.map(Path::to_string_lossy),
        "recording": recording.map(Path::to_string_lossy),
        "size_px": enrolled.identity.size_px(),
        "faces": faces,
        "face": enrolled.face,
        "remarks": remarks,
        "measures": enrolled.measures,
        "views": views.iter().map(view_json).collect::<Vec<_>>(),
        "left_out": left_out
            .iter()
            .map(|LeftOut { file, reason }| serde_json::json!({ "file": file.to_string_lossy(), "reason": reason }))
            .collect::<Vec<_>>(),
    });
    terminal::print(format!("{answer:#}\n").as_bytes())
}

fn view_json(view: &GatheredView) -> serde_json::Value {
    let tenths = |v: f32| (v * 10.0).round() / 10.0;
    serde_json::json!({
        "file": view.file.to_string_lossy(),
        "at_secs": view.at_secs,
        "yaw_pitch_roll_degrees": view.yaw_pitch_roll_degrees.map(tenths),
        "mouth": (view.mouth * 1e3).round() / 1e3,
        "eyes": (view.eyes * 1e2).round() / 1e2,
    })
}

/// Whether nothing but an older preview would be replaced, which is a PNG three times as wide as high.
fn is_free_for_preview(path: &Path) -> bool {
    match image::image_dimensions(path) {
        Ok((width, height)) => width == 3 * height,
        Err(_) => !path.exists(),
    }
}

fn name(args: &EnrollArgs) -> Result<String> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => args.output.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let is_fit = !name.is_empty() && name.chars().count() <= 64 && !name.contains(char::is_control);
    is_fit.then_some(name).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            "the identity's name must have 1 to 64 printable characters; give one with --name",
        )
    })
}

/// Who stands for the consent. Another person's consent needs a name.
fn consent_by(args: &EnrollArgs) -> Result<String> {
    match (&args.consent_by, args.consent) {
        (Some(by), _) if !by.trim().is_empty() && by.len() <= 200 && !by.contains(char::is_control) => Ok(by.clone()),
        (Some(_), _) => Err(Error::new(ErrorKind::Config, "--consent-by must be a name")),
        (None, Basis::Subject) => Err(Error::new(
            ErrorKind::Config,
            "--consent subject needs the name of who agreed: --consent-by 'Ann Example'",
        )),
        (None, _) => Ok(user::name()),
    }
}

/// Takes back the consent of an identity.
pub(crate) fn revoke(args: &RevokeArgs) -> Result<()> {
    let identity = args.keys.opener()?.identity(&args.identity)?;
    let record = identity.revoke()?;
    log::info!("revoked: {} does not run on this machine any more ({})", identity.manifest.name, record.display());
    log::info!("next: delete {} and its copies; other machines do not learn of this", files::typed(&args.identity));
    Ok(())
}
