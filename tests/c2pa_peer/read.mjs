// Reads manifests with c2pa-ts, an implementation of C2PA in TypeScript that shares no code with the one in effigy.
// usage: node read.mjs FILE...   prints a line of JSON for each: what it found, and each failure.
import { readFile } from "node:fs/promises";
import { BMFF, PNG } from "@trustnxt/c2pa-ts/asset";
import { SuperBox } from "@trustnxt/c2pa-ts/jumbf";
import { ManifestStore } from "@trustnxt/c2pa-ts/manifest";

// Its reader of boxes takes any file of boxes, and is only told to begin with pictures.
for (const brand of ["isom", "iso5", "iso6", "mp42", "qt  "]) BMFF.canReadBrands.add(brand);

for (const path of process.argv.slice(2)) {
  const said = { file: path };
  try {
    const bytes = await readFile(path);
    const kind = [PNG, BMFF].find((kind) => kind.canRead(bytes));
    if (!kind) throw new Error("c2pa-ts does not read this kind of file");
    const asset = new kind(bytes);
    const manifest = asset.getManifestJUMBF();
    if (!manifest) throw new Error("there is no manifest");
    const store = ManifestStore.read(SuperBox.fromBuffer(manifest));
    const result = await store.validate(asset);
    const active = store.getActiveManifest();
    said.valid = result.isValid;
    said.generator = active.claim.claimGeneratorName + "/" + active.claim.claimGeneratorVersion;
    said.assertions = active.assertions.assertions.map((assertion) => assertion.fullLabel ?? assertion.label);
    said.failures = result.statusEntries.filter((entry) => !entry.success).map((entry) => entry.code);
    said.successes = result.statusEntries.filter((entry) => entry.success).map((entry) => entry.code);
  } catch (error) {
    said.valid = false;
    said.error = String(error.message ?? error);
  }
  console.log(JSON.stringify(said));
}
