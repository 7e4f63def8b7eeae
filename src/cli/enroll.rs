//! `effigy enroll`: a photo becomes an identity file.

use std::path::Path;

use effigy::identity::{Basis, EnrollOptions, Enrolled, Enroller, ExaminedPhoto, Remark, Signer};
use effigy::rehearse::Rehearsal;
use effigy::{Error, ErrorKind, Result, files, photo};

use super::outputs::{check_writable, is_same_file};
use super::{EnrollArgs, terminal, user};

/// Enrols a photo and writes the identity and its preview.
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
    if is_same_file(&args.output, &args.photo) {
        return Err(Error::new(
            ErrorKind::Config,
            format!("-o would replace the photo; name another file than {}", args.output.display()),
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
    let bytes = photo::read_bytes(&args.photo)?;
    check_writable(&args.output)?;
    let progress = terminal::spinner("enrolling");
    let mut enroller = Enroller::new()?;
    let about =
        |error: Error| Error::new(error.kind(), format!("cannot enroll {}", args.photo.display())).because(error);
    let photo = enroller.examine(&bytes).map_err(about)?;
    let mut enrolled = enroller.enroll_examined(&photo, &options).map_err(about)?;
    let doubts: Vec<&str> =
        enrolled.remarks.iter().filter(|remark| remark.kind.is_warning()).map(|remark| &*remark.text).collect();
    if args.strict && !doubts.is_empty() {
        progress.finish_and_clear();
        if args.json {
            print_json(args, &photo, &enrolled, None)?;
        }
        let text = format!("the photo may look bad, which --strict refuses: {}", doubts.join("; "));
        return Err(about(Error::new(ErrorKind::Photo, text)));
    }
    // A key that cannot be used is told before the work of seconds.
    let signer = Signer::open_or_create()?;
    if !args.no_rehearsal {
        progress.set_message("trying expressions");
        Rehearsal::new()?.rehearse(&mut enrolled.identity)?;
    }
    let identity = &enrolled.identity;
    identity.save(&args.output, &signer)?;
    let is_ours = is_free_for_preview(&preview);
    if is_ours {
        photo::write_png(&preview, &identity.preview())?;
    }
    progress.finish_and_clear();
    for remark in &enrolled.remarks {
        let level = if remark.kind.is_warning() { log::Level::Warn } else { log::Level::Info };
        log::log!(level, "{}", remark.text);
    }
    if args.json {
        print_json(args, &photo, &enrolled, is_ours.then_some(&*preview))?;
    }
    if is_ours {
        log::info!("preview: {}", preview.display());
    } else {
        log::warn!("no preview written, it would replace another picture: {}", preview.display());
    }
    log::info!(
        "identity: {} ({} pixels; consent: {})",
        args.output.display(),
        identity.size_px(),
        options.basis.name()
    );
    log::info!("next: effigy run --identity {}", files::typed(&args.output));
    Ok(())
}

/// Prints what was found in a photo, and the files that were made of it.
fn print_json(args: &EnrollArgs, photo: &ExaminedPhoto, enrolled: &Enrolled, preview: Option<&Path>) -> Result<()> {
    let is_taken = !args.strict || !enrolled.remarks.iter().any(|remark| remark.kind.is_warning());
    let faces: Vec<_> = photo.faces.iter().map(|face| face.box_px.map(f32::round)).collect();
    let remarks: Vec<_> = enrolled.remarks.iter().map(Remark::json).collect();
    let answer = serde_json::json!({
        "photo": args.photo.to_string_lossy(),
        "identity": is_taken.then(|| args.output.to_string_lossy()),
        "preview": preview.map(Path::to_string_lossy),
        "size_px": enrolled.identity.size_px(),
        "faces": faces,
        "face": enrolled.face,
        "remarks": remarks,
        "measures": enrolled.measures,
    });
    terminal::print(format!("{answer:#}\n").as_bytes())
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
