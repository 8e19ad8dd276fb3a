/* What the page draws, unpacked: zlib in base64. The browser does it itself, without a request. */

const data = await inflated(document.getElementById("data").textContent);

async function inflated(text) {
  if (typeof DecompressionStream === "undefined") {
    const banner = document.createElement("p");
    banner.className = "banner warning";
    banner.textContent = "This browser is too old to unpack the data of this page. Use a browser from 2023 or later.";
    document.querySelector("main").prepend(banner);
    throw new Error("no DecompressionStream");
  }
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}
