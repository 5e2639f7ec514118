/** Settings in the words of people. */
import { useTranslation } from 'react-i18next'
import type { Setting, Value } from '../../api/settings'

export function useSettingTexts() {
  const { t, i18n } = useTranslation()
  const resourceOf = ({ key }: Setting) => key.split('/').at(-2) ?? ''
  const wordOf = (word: string): string => (i18n.exists(`settings.word.${word}`) ? t(`settings.word.${word as 'user'}`) : word)
  const labelOf = (setting: Setting) => t(`settings.of.${setting.name as 'threshold'}`, { resource: resourceOf(setting) })
  const hintOf = (setting: Setting) => t(`settings.of.${setting.name as 'threshold'}Hint`, { resource: resourceOf(setting) })
  const shown = ({ kind }: Setting, value: Value | null) => {
    if (value === null) return t('settings.none')
    if (Array.isArray(value)) return value.map(wordOf).join(', ') || t('settings.none')
    if (kind === 'days') return t('settings.days', { count: Number(value) })
    return kind === 'percent' ? `${value}%` : wordOf(value)
  }
  return { labelOf, hintOf, shown, wordOf }
}
