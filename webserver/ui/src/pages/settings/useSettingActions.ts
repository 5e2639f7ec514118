/** What superadmins do with settings. */
import { useTranslation } from 'react-i18next'
import { ApiError } from '../../api/http'
import { isSound, setSetting, unsetSetting, type Setting, type Value } from '../../api/settings'
import { openForm, type Field, type FieldKind } from '../../parts/FieldForm'
import { useAct } from '../../parts/useAct'
import { useChoices } from '../../parts/useChoices'
import { useSettingTexts } from './texts'

const TOUCHED = [['settings']]
const FIELDS: Record<Setting['kind'], FieldKind> = { flag: 'switch', days: 'number', percent: 'number', span: 'text', choice: 'select', choices: 'multiple', names: 'multiple' }

interface Form {
  value: string | number | string[] | null
}

export function useSettingActions() {
  const { t } = useTranslation()
  const withChoices = useChoices()
  const { labelOf, hintOf, wordOf } = useSettingTexts()
  const put = useAct<{ setting: Setting; value: Value }>({ act: ({ setting, value }) => setSetting(setting, value), done: t('admin.saved'), touches: TOUCHED })
  const reset = useAct<Setting>({ act: unsetSetting, done: t('admin.saved'), touches: TOUCHED })
  const open = (setting: Setting, holds: Value | null, names: readonly string[]) => {
    const field: Field<Form> = {
      name: 'value', label: labelOf(setting), hint: hintOf(setting), kind: FIELDS[setting.kind], isRequired: setting.kind !== 'choices', options: names.map((name) => ({ value: name, label: wordOf(name) })),
    }
    openForm<Form>(t('settings.changeOf', { name: labelOf(setting) }), {
      fields: [field], initial: { value: holds ?? (Array.isArray(setting.byDefault) ? [] : '') }, submit: t('action.save'),
      onSubmit: async ({ value }) => {
        const given: Value = Array.isArray(value) ? value : String(value ?? '').trim()
        if (!isSound(setting, given)) throw new ApiError(400, t(`settings.bad.${setting.kind}`), '', 'setting', '', null)
        await put.mutateAsync({ setting, value: given })
      },
    })
  }
  /** The names of hosts are known to the cluster alone. */
  const ask = (setting: Setting, holds: Value | null) =>
    setting.options ? open(setting, holds, setting.options) : setting.kind === 'choice' ? withChoices(({ hosts }) => open(setting, holds, hosts)) : open(setting, holds, [])
  return { ask, put: put.mutate, reset: reset.mutate }
}
