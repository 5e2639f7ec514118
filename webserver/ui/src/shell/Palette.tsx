/** Ctrl K: any page by a few letters of its name. */
import { Spotlight } from '@mantine/spotlight'
import { IconSearch } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { useNavigate } from 'react-router'
import { PAGES } from '../pages'
import { useHere } from './me'
import { menuOf } from './menu'

const PATHS = new Set(Object.keys(PAGES))

export function Palette() {
  const { t } = useTranslation()
  const { me } = useHere()
  const navigate = useNavigate()
  const actions = menuOf(me.role, PATHS).map(({ title, entries }) => ({
    group: title ? t(title) : t('menu.name'),
    actions: entries.map(({ path, title: name, icon: Picture }) => ({
      id: path,
      label: t(name),
      onClick: () => void navigate(path),
      leftSection: <Picture size={20} stroke={1.5} />,
    })),
  }))
  return (
    <Spotlight
      actions={actions} shortcut={['mod + K']} highlightQuery nothingFound={t('top.nothingFound')} attributes={{ content: { 'aria-label': t('top.search') } }}
      searchProps={{ leftSection: <IconSearch size={18} />, placeholder: t('top.search'), 'aria-label': t('top.search') }}
    />
  )
}
