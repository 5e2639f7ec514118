// Draws one shell of the session, and finds it again when the connection was lost.
"use strict";

const INPUT = 0, CONTROL = 1, PING = 2;
const OUTPUT = 0, EVENT = 1;
const PING_MILLISECONDS = 20000;
const WAIT_MILLISECONDS = [250, 500, 1000, 2000, 4000];

const terminal = new Terminal({
  cursorBlink: true,
  fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
  fontSize: 14,
  scrollback: 10000,
  theme: { background: "#16181d" },
});
const fit = new FitAddon.FitAddon();
const notice = document.getElementById("notice");
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const name = new URLSearchParams(location.search).get("terminal") || "main";

let socket = null;
let failures = 0;
let timer = 0;
let hasEnded = false;
// Answers that the terminal would give to what is only shown again are not for the shell.
let replayedBytes = 0;

function say(text) {
  notice.textContent = text;
  notice.hidden = text === "";
}

function send(kind, bytes) {
  if (socket === null || socket.readyState !== WebSocket.OPEN) return;
  const message = new Uint8Array(bytes.length + 1);
  message[0] = kind;
  message.set(bytes, 1);
  socket.send(message);
}

function sendSize() {
  const size = { rows: terminal.rows, cols: terminal.cols };
  send(CONTROL, encoder.encode(JSON.stringify(size)));
}

function connect() {
  clearTimeout(timer);
  const address = new URL("ws", location.href.split(/[?#]/)[0]);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const query = { terminal: name, rows: terminal.rows, cols: terminal.cols };
  address.search = new URLSearchParams(query).toString();
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (message) => receive(new Uint8Array(message.data));
  socket.onclose = (event) => lose(event.reason);
}

function receive(message) {
  const body = message.subarray(1);
  if (message[0] === OUTPUT) {
    show(body);
  } else if (message[0] === EVENT) {
    heed(JSON.parse(decoder.decode(body)));
  }
}

function show(body) {
  terminal.write(body, () => {
    replayedBytes = Math.max(0, replayedBytes - body.length);
  });
}

function heed(event) {
  if (event.event === "opened") {
    failures = 0;
    hasEnded = false;
    replayedBytes = event.scrollback;
    terminal.reset();
    say("");
    terminal.focus();
  } else if (event.event === "exited") {
    hasEnded = true;
  }
}

function lose(reason) {
  socket = null;
  if (hasEnded) {
    say("The shell has ended. Press Enter for a new one.");
    return;
  }
  const wait = WAIT_MILLISECONDS[Math.min(failures, WAIT_MILLISECONDS.length - 1)];
  failures += 1;
  say(reason ? `Not connected: ${reason}` : "Connection lost. Connecting again …");
  timer = setTimeout(connect, wait);
}

terminal.loadAddon(fit);
terminal.open(document.getElementById("terminal"));
fit.fit();
terminal.onData((text) => {
  if (hasEnded && socket === null) {
    if (text === "\r") {
      hasEnded = false;
      connect();
    }
  } else if (replayedBytes === 0) {
    send(INPUT, encoder.encode(text));
  }
});
terminal.onBinary((text) => send(INPUT, Uint8Array.from(text, (c) => c.charCodeAt(0))));
terminal.onResize(sendSize);
terminal.onTitleChange((title) => { document.title = title || "Terminal"; });
new ResizeObserver(() => fit.fit()).observe(document.getElementById("terminal"));
window.addEventListener("online", () => { if (socket === null && !hasEnded) connect(); });
setInterval(() => send(PING, new Uint8Array(0)), PING_MILLISECONDS);
connect();
