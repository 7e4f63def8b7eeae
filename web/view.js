// The picture alone, for OBS: comes back by itself when effigy is started again at the same address.
const picture = document.getElementById("picture");
const connect = () => { picture.src = "/stream?" + Date.now(); };
const token = new URLSearchParams(location.search).get("token");
let isLive = false;
picture.onload = () => { isLive = true; picture.hidden = false; };
picture.onerror = () => { isLive = false; picture.hidden = true; };
connect();
setInterval(async () => {
  // A stream that ends leaves its last frame and says nothing: the server is asked.
  try {
    const answer = await fetch("/icon.svg" + (token ? "?token=" + token : ""), { cache: "no-store" });
    if (!answer.ok) throw new Error("closed");
    if (!isLive) {
      // Another run has another cookie; the page's own address brings it.
      if (token) location.reload(); else connect();
      isLive = true;
    }
  } catch {
    isLive = false;
    picture.hidden = true;
  }
}, 2000);
