import { useState } from 'preact/hooks';
import { Shown, useLoad } from '../load.tsx';
import { Table, TextField, Time } from '../parts.tsx';
import type { SettingsReport } from './types.ts';

/** The configuration in effect. It is changed in its file, and read again at the next start. */
export function Settings() {
  const report = useLoad<SettingsReport>('/settings/', false);
  const [wanted, setWanted] = useState('');
  const fits = (text: string) => text.toLowerCase().includes(wanted.trim().toLowerCase());
  return (
    <>
      <h1>Settings</h1>
      <p>
        What this service was started with. Change it in the configuration file, and start the daemon again.
      </p>
      <Shown loaded={report}>
        {({ version, database, backup_at, settings }) => (
          <>
            <dl class="facts">
              <div>
                <dt>Version</dt>
                <dd>{version}</dd>
              </div>
              <div>
                <dt>Database</dt>
                <dd>{database}</dd>
              </div>
              <div>
                <dt>Last backup</dt>
                <dd>
                  <Time at={backup_at} />
                </dd>
              </div>
            </dl>
            <TextField label="Find a setting" value={wanted} onValue={setWanted} />
            <Table
              label="Settings"
              rows={settings.filter((one) => fits(`${one.path} ${one.value} ${originOf(one)}`))}
              empty={<p>No setting is called so.</p>}
              columns={[
                { title: 'Setting', cell: (one) => <code class="name break">{one.path}</code> },
                { title: 'Value', cell: (one) => <bdi class="break">{one.value}</bdi> },
                { title: 'From', cell: (one) => <Origin one={one} /> },
              ]}
            />
          </>
        )}
      </Shown>
    </>
  );
}

type Setting = SettingsReport['settings'][number];

function originOf({ origin, variables }: Setting): string {
  return origin === 'environment' ? variables.join(', ') : origin;
}

/** Of the environment the names of its variables: their values are nobody's to see. */
function Origin({ one }: { one: Setting }) {
  if (one.origin === 'environment') return <code class="break">{originOf(one)}</code>;
  return one.origin === 'default' ? <span class="quiet">default</span> : <>file</>;
}
