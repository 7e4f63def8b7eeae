// The picture alone, for OBS: comes back by itself when effigy is started again at the same address.
const picture = document.getElementById("picture");
const token = new URLSearchParams(location.search).get("token");
let run = null, isLost = false;
picture.src = "/stream";
setInterval(async () => {
  // A stream that ends leaves its last frame and says nothing: the server is asked which run it is.
  try {
    const answer = await fetch("/icon.svg" + (token ? "?token=" + token : ""), { cache: "no-store" });
    const found = answer.ok ? answer.headers.get("effigy-run") : null;
    if (!found) throw new Error("closed");
    run ??= found;
    if (isLost || run !== found) location.reload();
  } catch {
    isLost = true;
    picture.hidden = true;
  }
}, 2000);
