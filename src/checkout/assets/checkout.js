/*
 * What a page gains from JavaScript; it is complete without. Nothing here knows a language or a state: the server writes
 * the page, and when something has changed this exchanges <main> for the new one.
 */

const page = document.documentElement;
const live = document.getElementById('live');
const base = location.pathname.replace(/\/+$/, '');
const wallets = new Map();
/** How far the server's clock is ahead of ours, ms: a payer's clock may be hours off. */
let ahead = 0;
let loading = null;
let lastLoad = 0;
let lastEvent = '';
let streaming = null;
let watchdog = 0;
let resume = () => {};
let leaving = 0;

const main = () => document.getElementById('payment');
const data = () => main()?.dataset ?? {};
const isFinal = () => data().final === 'true' || !data().version;
const say = (text) => {
  if (live) live.textContent = text;
};

/** Asks for the page as it is now, and shows it where it differs. */
function load() {
  if (loading) return loading;
  lastLoad = Date.now();
  loading = new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.responseType = 'document';
    request.timeout = 15000;
    request.open('GET', location.href);
    request.onloadend = () => {
      loading = null;
      const fresh = request.status === 200 ? request.response?.getElementById('payment') : null;
      if (fresh) show(fresh, request.response.title);
      offline(!request.status);
      resolve(!!fresh);
    };
    request.send();
  });
  return loading;
}

function show(fresh, title) {
  const old = main();
  const before = { ...old.dataset };
  for (const { id } of old.querySelectorAll('details[open][id]')) {
    const same = fresh.querySelector(`#${id}`);
    if (same) same.open = true;
  }
  for (const input of old.querySelectorAll('input[id]:not([type=hidden])')) {
    const same = fresh.querySelector(`#${input.id}`);
    if (same) same.value = input.value;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.id : '';
  const node = document.adoptNode(fresh);
  old.replaceWith(node);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  document.title = title;
  begin();
  if (before.state !== node.dataset.state) {
    say([...node.querySelectorAll('.status h1, .status p')].map((one) => one.textContent).join(' '));
    tell();
  }
}

/** What every new <main> needs. */
function begin() {
  const { now, redirect } = data();
  if (now) ahead = Number(now) - Date.now();
  tick();
  offerWallets();
  clearTimeout(leaving);
  const back = document.getElementById('back');
  if (redirect && back) {
    const at = Date.now() + Number(redirect) * 1000;
    const count = document.getElementById('redirect');
    const step = () => {
      const left = Math.ceil((at - Date.now()) / 1000);
      if (count) count.textContent = String(Math.max(0, left));
      if (left <= 0) back.click();
      else leaving = setTimeout(step, 250);
    };
    step();
  }
}

/** The embedding page is told, if it is one of those that may embed this one. */
function tell() {
  const { number, status } = data();
  if (parent === window || !number) return;
  for (const origin of (page.dataset.embed ?? '').split(' ').filter(Boolean)) {
    parent.postMessage({ type: 'depositd:status', payment_number: number, status }, origin);
  }
}

function offline(is) {
  const note = document.getElementById('offline');
  if (note) note.hidden = !is;
}

let saidMinutes = Infinity;

function tick() {
  const timer = document.getElementById('timer');
  if (!timer) return;
  const left = Math.max(0, Math.ceil((Number(timer.dataset.ends) - Date.now() - ahead) / 1000));
  const two = (n) => String(n).padStart(2, '0');
  const hours = Math.floor(left / 3600);
  const minutes = Math.floor((left % 3600) / 60);
  timer.textContent = `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(left % 60)}`;
  // Aloud only twice: a ticking clock that is read out drowns everything else.
  for (const mark of [300, 60]) {
    if (left <= mark && left > mark - 5 && saidMinutes > mark) {
      saidMinutes = mark;
      say(timer.dataset[mark === 300 ? 'five' : 'one']);
    }
  }
  if (left === 0 && Date.now() - lastLoad > 3000) load();
}

/** Whatever comes on the stream says that it lives; 15 s is the pace of its heartbeat. */
function heard() {
  offline(!navigator.onLine);
  clearTimeout(watchdog);
  watchdog = setTimeout(() => streaming?.abort(), 20000);
}

/** Waits, or until something else makes it worth a look. */
const pause = (ms) =>
  new Promise((resolve) => {
    resume = resolve;
    setTimeout(resolve, ms);
  });

/** Follows the stream of events as long as something can still happen; where it cannot, asks every 15 s. */
async function follow() {
  for (let wait = 1000; !isFinal(); wait = Math.min(15000, wait * 2)) {
    streaming = new AbortController();
    try {
      const headers = lastEvent ? { 'last-event-id': lastEvent } : {};
      const answer = await fetch(`${base}/events`, { headers, signal: streaming.signal, cache: 'no-store' });
      if (answer.ok) {
        wait = 1000;
        await read(answer.body);
      } else wait = 15000;
    } catch {
      offline(!navigator.onLine);
    }
    clearTimeout(watchdog);
    if (isFinal()) return;
    await pause(wait);
    if (Date.now() - lastLoad > 1000) await load();
  }
}

async function read(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  heard();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    text += value;
    const events = text.split('\n\n');
    text = events.pop();
    for (const event of events) {
      const id = /^id: (.*)$/m.exec(event)?.[1];
      if (!id) continue;
      lastEvent = id;
      if (id !== data().version) await load();
    }
  }
}

function again() {
  if (document.visibilityState === 'hidden' || isFinal()) return;
  load();
  // A phone may have cut the stream while the page slept.
  streaming?.abort();
  resume();
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const text = button.dataset.text ?? source.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS there is no clipboard for scripts but this one.
    const field = document.createElement('textarea');
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    if (!done) return getSelection()?.selectAllChildren(source);
  }
  const label = button.textContent;
  if (button.classList.contains('done')) return;
  button.textContent = button.dataset.done;
  button.classList.add('done');
  say(button.dataset.done);
  setTimeout(() => {
    button.textContent = label;
    button.classList.remove('done');
  }, 2000);
}

/* Wallets: EIP-6963 on EVM chains, TIP-6963 on TRON. No library, no other host. */

function announced(event) {
  const { info, provider } = event.detail ?? {};
  if (!info || !provider) return;
  wallets.set(info.uuid, { name: String(info.name).slice(0, 40), provider, tron: event.type[0] === 'T' });
  offerWallets();
}

function offerWallets() {
  const place = document.getElementById('wallets');
  if (!place) return;
  const tron = place.dataset.family === 'tron';
  const found = [...wallets.values()].filter((wallet) => wallet.tron === tron);
  const alone = tron ? (window.tron ?? window.tronLink) : window.ethereum;
  if (!found.length && alone) found.push({ name: place.dataset.any, provider: alone, plain: true });
  const row = place.querySelector('.links');
  row.replaceChildren(
    ...found.map((wallet) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = wallet.plain ? wallet.name : place.dataset.with.replace('{}', wallet.name);
      button.onclick = () => pay(wallet, place, button);
      return button;
    }),
  );
  place.hidden = !found.length;
}

async function pay({ provider }, place, button) {
  const result = place.querySelector('.hint');
  button.disabled = true;
  try {
    const sent = await (place.dataset.family === 'tron' ? sendTron : sendEvm)(provider, place.dataset);
    result.textContent = place.dataset[sent];
  } catch {
    result.textContent = place.dataset.refused;
  }
  button.disabled = false;
  say(result.textContent);
}

async function sendEvm(provider, { chain, to, value, call }) {
  const [from] = await provider.request({ method: 'eth_requestAccounts' });
  await provider
    .request({ method: 'wallet_switchEthereumChain', params: [{ chainId: chain }] })
    .catch(() => {});
  // Whatever the wallet answered: nothing is sent on another chain.
  const current = await provider.request({ method: 'eth_chainId' });
  if (BigInt(current) !== BigInt(chain)) return 'network';
  const transaction = { from, to, value, ...(call ? { data: call } : {}) };
  await provider.request({ method: 'eth_sendTransaction', params: [transaction] });
  return 'sent';
}

async function sendTron(provider, { genesis, to, amount, contract }) {
  await provider.request({ method: 'eth_requestAccounts' });
  const tronWeb = provider.tronWeb || window.tronWeb;
  const from = tronWeb.defaultAddress.base58;
  const { blockID } = await tronWeb.trx.getBlockByNumber(0);
  if (!blockID.endsWith(genesis)) return 'network';
  const make = tronWeb.transactionBuilder;
  const transaction = contract
    ? (
        await make.triggerSmartContract(
          contract,
          'transfer(address,uint256)',
          { feeLimit: 100000000 },
          [
            { type: 'address', value: to },
            { type: 'uint256', value: amount },
          ],
          from,
        )
      ).transaction
    : await make.sendTrx(to, Number(amount), from);
  const { result } = await tronWeb.trx.sendRawTransaction(await tronWeb.trx.sign(transaction));
  return result ? 'sent' : 'refused';
}

addEventListener('click', (event) => {
  const button = event.target.closest?.('[data-copy]');
  if (button) copy(button);
});
for (const standard of ['eip6963', 'TIP6963']) {
  addEventListener(`${standard}:announceProvider`, announced);
  dispatchEvent(new Event(`${standard}:requestProvider`));
}
addEventListener('online', again);
addEventListener('offline', () => offline(true));
addEventListener('pageshow', (event) => event.persisted && again());
document.addEventListener('visibilitychange', again);

if (main()) {
  begin();
  tell();
  setInterval(tick, 1000);
  follow();
}
