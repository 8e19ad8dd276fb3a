/* What the page draws. */

const data = JSON.parse(document.getElementById("data").textContent);
