//! ONNX Runtime: a library that is found and loaded when the first model is opened.
//!
//! It is looked for, in this order:
//! 1. where `EFFIGY_ONNXRUNTIME` or `ORT_DYLIB_PATH` says (a file, or the folder it is in): there or nowhere,
//! 2. beside the program, in `lib` beside it, in `../lib`, in `../lib/effigy`,
//! 3. in `effigy/lib` of the user's data folder (`$XDG_DATA_HOME`, else `~/.local/share`),
//! 4. wherever the system's loader finds it.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use super::heap;
use effigy_base::error::{Error, ErrorKind, OrError, Result};

const VARIABLES: [&str; 2] = ["EFFIGY_ONNXRUNTIME", "ORT_DYLIB_PATH"];

#[cfg(target_os = "linux")]
const LOADER_NAMES: [&str; 2] = ["libonnxruntime.so", "libonnxruntime.so.1"];
#[cfg(target_os = "macos")]
const LOADER_NAMES: [&str; 1] = ["libonnxruntime.dylib"];
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
const LOADER_NAMES: [&str; 1] = ["onnxruntime.dll"];

/// The one environment of the process and the library's path; a failure is not kept, so that a later call
/// may succeed.
static ENVIRONMENT: Mutex<Option<(Environment, String)>> = Mutex::new(None);

/// Loads the library on the first call and hands out its environment and its path.
pub(super) fn environment() -> Result<(Environment, String)> {
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = &*environment {
        return Ok(found.clone());
    }
    heap::give_back_large_blocks();
    let mut failures = Vec::new();
    let (variable, candidates) = candidates()?;
    for candidate in candidates {
        match ort::init_from(&candidate) {
            Ok(builder) => {
                let made = builder
                    .with_telemetry(false)
                    .build()
                    .or_error(ErrorKind::Model, || format!("ONNX Runtime at {} does not start", candidate.display()))?;
                return Ok(environment.insert((made, candidate.display().to_string())).clone());
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    Err(match variable {
        Some(variable) => unfit(variable, &failures),
        None => missing(&failures),
    })
}

/// Files to try, and the variable that named them, if one did.
fn candidates() -> Result<(Option<&'static str>, Vec<PathBuf>)> {
    for variable in VARIABLES {
        let Some(value) = env::var_os(variable).filter(|value| !value.is_empty()) else { continue };
        return Ok((Some(variable), named_by(variable, Path::new(&value))?));
    }
    let mut found: Vec<PathBuf> = folders().iter().flat_map(|folder| libraries_in(folder)).collect();
    found.extend(LOADER_NAMES.iter().map(PathBuf::from));
    Ok((None, found))
}

/// Files to try where a variable says so.
fn named_by(variable: &str, path: &Path) -> Result<Vec<PathBuf>> {
    // The loader looks for a bare name elsewhere than in the folder that the program runs in.
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if whole.is_file() {
        return Ok(vec![whole]);
    }
    let inside = libraries_in(&whole);
    if inside.is_empty() {
        return Err(Error::new(
            ErrorKind::Model,
            format!(
                "{variable} says {}, where there is no ONNX Runtime library ({}); set it to the library's file, or unset it",
                path.display(),
                LOADER_NAMES[0]
            ),
        ));
    }
    Ok(inside)
}

fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(beside) = env::current_exe().ok().as_deref().and_then(Path::parent) {
        folders.extend([beside.to_path_buf(), beside.join("lib"), beside.join("../lib"), beside.join("../lib/effigy")]);
    }
    let data = env::var_os("XDG_DATA_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".local/share")));
    folders.extend(data.map(|data| data.join("effigy/lib")));
    folders
}

/// Files in `folder` that are named like the library, whatever version follows; the newest version first.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_library_name))
        .collect();
    found.sort_by_key(|path| std::cmp::Reverse(version(path)));
    found
}

fn is_library_name(name: &str) -> bool {
    match name.strip_prefix(LOADER_NAMES[0]) {
        Some(rest) => rest.is_empty() || rest.starts_with('.'),
        // macOS puts the version before the suffix.
        None => name.starts_with("libonnxruntime.") && name.ends_with(".dylib"),
    }
}

/// The numbers in a file's name, so that 1.31 comes after 1.4.
fn version(path: &Path) -> Vec<u32> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('.').filter_map(|part| part.parse().ok()).collect()
}

fn unfit(variable: &str, failures: &[String]) -> Error {
    let reason = failures.first().map_or("", String::as_str);
    Error::new(
        ErrorKind::Model,
        format!(
            "{variable} names no ONNX Runtime library of version 1.23 or later ({reason}); set it to {} of such a \
             version, or unset it",
            LOADER_NAMES[0]
        ),
    )
}

fn missing(failures: &[String]) -> Error {
    // A library that is there but does not load says more than one that the loader did not find.
    let reason = failures.first().map_or("", String::as_str);
    Error::new(
        ErrorKind::Model,
        format!(
            "ONNX Runtime 1.23 or later was not found ({reason}); run the setup command of README.md, or \
             `pip install --target DIR onnxruntime==1.31.1` and set EFFIGY_ONNXRUNTIME=DIR/onnxruntime/capi"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_newest_library_in_a_folder_comes_first_and_other_files_do_not_count() {
        let folder = env::temp_dir().join(format!("effigy_runtime_test_{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["libonnxruntime.so.1.4.0", "libonnxruntime.so.1.31.1", "libonnxruntime_providers.so", "x.txt"] {
            std::fs::write(folder.join(name), b"").unwrap();
        }
        let names: Vec<_> = libraries_in(&folder).iter().map(|path| version(path)).collect();
        assert_eq!(names, [vec![1, 31, 1], vec![1, 4, 0]]);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_name_in_a_variable_is_one_of_the_folder_that_the_program_runs_in() {
        // A test runs in its crate's folder.
        let here = env::current_dir().unwrap();
        assert_eq!(named_by(VARIABLES[0], Path::new("Cargo.toml")).unwrap(), [here.join("Cargo.toml")]);
        let error = named_by(VARIABLES[0], Path::new("src")).unwrap_err().to_string();
        assert!(error.starts_with("EFFIGY_ONNXRUNTIME says src, where there is no"), "{error}");
    }

    #[test]
    fn what_is_missing_comes_with_what_to_type() {
        let error = missing(&["no such file".into()]).to_string();
        assert!(error.contains("no such file") && error.contains("EFFIGY_ONNXRUNTIME="), "{error}");
    }
}
