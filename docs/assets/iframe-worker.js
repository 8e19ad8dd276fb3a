/* Search without a server. Browsers start no worker for a page that was opened as a file, so this one runs the worker's script in a
   hidden frame of the same page, with the few names that the script uses of a worker. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc = "<!doctype html><title>search</title>";
      frame.addEventListener("load", () => this.start(frame.contentWindow, url), { once: true });
      (document.body || document.documentElement).append(frame);
    }

    start(inner, url) {
      const load = source =>
        new Promise((done, failed) => {
          const script = inner.document.createElement("script");
          script.src = source;
          script.onload = () => done();
          script.onerror = () => failed(new Error(`cannot load ${source}`));
          inner.document.head.append(script);
        });
      inner.importScripts = (...sources) => sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve());
      inner.postMessage = data => this.answer(data);
      load(url).then(() => {
        this.inner = inner;
        for (const data of this.waiting.splice(0)) this.deliver(data);
      });
    }

    answer(data) {
      const event = new MessageEvent("message", { data });
      this.dispatchEvent(event);
      if (this.onmessage) this.onmessage(event);
    }

    deliver(data) {
      this.inner.dispatchEvent(new this.inner.MessageEvent("message", { data }));
    }

    postMessage(data) {
      if (this.inner) this.deliver(data);
      else this.waiting.push(data);
    }

    terminate() {}
  };
}
