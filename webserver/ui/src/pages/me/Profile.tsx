/** Who one is here. */
import { Stack } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { setFullName } from '../../api/account'
import { Facts } from '../../parts/Facts'
import { FieldForm } from '../../parts/FieldForm'
import { Section } from '../../parts/Section'
import { useAct } from '../../parts/useAct'
import { ME } from '../../queries'
import { useHere } from '../../shell/me'

export function Profile() {
  const { t } = useTranslation()
  const { me } = useHere()
  const save = useAct<string>({ act: (name) => setFullName(me.email, name), done: t('me.saved'), touches: [[...ME]] })
  return (
    <Section title={t('me.profile')}>
      <Stack maw={560}>
        <Facts
          facts={[
            [t('me.email'), me.email], [t('me.username'), me.username], [t('me.role'), me.role], [t('me.domain'), me.domain],
            [t('me.projects'), me.projects.map(({ name }) => name).join(', ')], [t('me.policy'), me.policy],
          ]}
        />
        <FieldForm
          fields={[{ name: 'fullName', label: t('me.fullName'), kind: 'text' }]} initial={{ fullName: me.fullName }} submit={t('action.save')}
          onSubmit={({ fullName }) => save.mutateAsync(fullName)}
        />
      </Stack>
    </Section>
  )
}
