/** One's own account, a tab for each matter. */
import { Tabs } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { useSearchParams } from 'react-router'
import { Page } from '../../parts/Page'
import { Dotfiles } from './Dotfiles'
import { Failures } from './Failures'
import { Keys } from './Keys'
import { Logins } from './Logins'
import { Profile } from './Profile'
import { Security } from './Security'

const TABS = { profile: Profile, security: Security, keys: Keys, files: Dotfiles, logins: Logins, failures: Failures } as const
type Tab = keyof typeof TABS

export default function MySettings() {
  const { t } = useTranslation()
  const [params, setParams] = useSearchParams()
  const asked = params.get('tab') ?? ''
  const tab: Tab = asked in TABS ? (asked as Tab) : 'profile'
  return (
    <Page title={t('me.title')} hint={t('me.hint')}>
      <Tabs value={tab} onChange={(next) => setParams(next ? { tab: next } : {})} keepMounted={false}>
        <Tabs.List mb="md">{(Object.keys(TABS) as Tab[]).map((name) => <Tabs.Tab key={name} value={name}>{t(`me.${name}`)}</Tabs.Tab>)}</Tabs.List>
        {Object.entries(TABS).map(([name, Panel]) => <Tabs.Panel key={name} value={name}><Panel /></Tabs.Panel>)}
      </Tabs>
    </Page>
  )
}
