import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ended, type Me, me, readMe, signOut } from './api.ts';
import { stream } from './changes.ts';
import { Account } from './pages/account.tsx';
import { Addresses } from './pages/addresses.tsx';
import { AuditLog } from './pages/audit-log.tsx';
import { Branding } from './pages/branding.tsx';
import { Chains } from './pages/chains.tsx';
import { Home } from './pages/home.tsx';
import { Merchants } from './pages/merchants.tsx';
import { Payment } from './pages/payment.tsx';
import { Payments } from './pages/payments.tsx';
import { Providers } from './pages/providers.tsx';
import { Rates } from './pages/rates.tsx';
import { Reports } from './pages/reports.tsx';
import { Settings } from './pages/settings.tsx';
import { SetUp, SignIn } from './pages/sign-in.tsx';
import { Unmatched } from './pages/unmatched.tsx';
import { Users } from './pages/users.tsx';
import { Webhooks } from './pages/webhooks.tsx';
import { Dialog } from './parts.tsx';
import { route } from './route.ts';

type Page = { path: string; title: string; page: ComponentType; for: 'all' | 'everything' };

/** `everything`: for who sees all merchants. */
const pages: readonly Page[] = [
  { path: '', title: 'Home', page: Home, for: 'all' },
  { path: 'payments', title: 'Payments', page: Payments, for: 'all' },
  { path: 'unmatched', title: 'Unmatched money', page: Unmatched, for: 'all' },
  { path: 'addresses', title: 'Addresses', page: Addresses, for: 'all' },
  { path: 'chains', title: 'Chains', page: Chains, for: 'everything' },
  { path: 'webhooks', title: 'Webhooks', page: Webhooks, for: 'all' },
  { path: 'reports', title: 'Reports', page: Reports, for: 'all' },
  { path: 'providers', title: 'Providers', page: Providers, for: 'everything' },
  { path: 'rates', title: 'Rates', page: Rates, for: 'everything' },
  { path: 'merchants', title: 'Merchants and keys', page: Merchants, for: 'all' },
  { path: 'branding', title: 'Branding', page: Branding, for: 'all' },
  { path: 'users', title: 'Users', page: Users, for: 'everything' },
  { path: 'audit', title: 'Audit log', page: AuditLog, for: 'everything' },
  { path: 'settings', title: 'Settings', page: Settings, for: 'everything' },
  { path: 'account', title: 'Your account', page: Account, for: 'all' },
];

export function App() {
  const [fault, setFault] = useState<string | null>(null);
  useEffect(() => {
    readMe().catch((error) => setFault(String(error.message ?? error)));
  }, []);
  const { parts } = route.value;
  const [first = '', token = ''] = parts;
  if (fault !== null) return <p class="notice bad alone">{fault}</p>;
  if (first === 'setup' || first === 'password')
    return <SetUp key={token} token={token} named={first === 'setup'} />;
  if (me.value === undefined) return <p class="loading">Loading…</p>;
  if (me.value === null) return <SignIn />;
  return <Inside user={me.value} />;
}

function Inside({ user }: { user: Me }) {
  const { parts } = route.value;
  const [first = '', second] = parts;
  const seen = pages.filter((page) => page.for === 'all' || user.merchant_id === null);
  const current = seen.find(({ path }) => path === first);
  const Content = first === 'payments' && second !== undefined ? Payment : current?.page;
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    document.title = `${current?.title ?? 'Not here'} · depositd`;
    setOpen(false);
  }, [current]);
  return (
    <>
      <button type="button" class="skip" onClick={() => document.querySelector('main')?.focus()}>
        To the page
      </button>
      <header>
        <strong>depositd</strong>
        {/* On a phone. */}
        <button
          type="button"
          class="menu"
          aria-expanded={isOpen}
          aria-controls="pages"
          onClick={() => setOpen(!isOpen)}
        >
          {current?.title ?? 'Pages'}
        </button>
        <nav id="pages" class={isOpen ? 'open' : undefined} aria-label="Pages">
          {seen.map(({ path, title }) => (
            <a key={path} href={`#/${path}`} aria-current={path === first ? 'page' : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <div class="who">
          <span role="status">{stream.value === 'reconnecting' && <small>reconnecting…</small>}</span>
          <span>
            {user.name} <small>{user.role}</small>
          </span>
          <button type="button" class="plain" onClick={() => void signOut()}>
            Sign out
          </button>
        </div>
      </header>
      <main tabIndex={-1}>
        {Content === undefined ? (
          <p>
            There is no such page. <a href="#/">Home</a>
          </p>
        ) : (
          <Content key={parts.join('/')} />
        )}
      </main>
      {ended.value && (
        <Dialog title="Sign in again" onClose={null}>
          <p>Your session has ended. What you typed is still there.</p>
          <SignIn name={user.name} />
        </Dialog>
      )}
    </>
  );
}
