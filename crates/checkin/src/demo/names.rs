//! Names by language, so that first and last names belong together.
//!
//! A name is written as people write it, followed by `=` and its form in an e-mail address; without
//! `=`, the name is plain ASCII. `_` stands for a space. If last names depend on the gender of the
//! first name, a language has two entries.

/// First and last names of one language.
pub(super) struct Names {
    pub(super) first: &'static str,
    pub(super) last: &'static str,
}

pub(super) const LANGUAGES: &[Names] = &[
    // English has two entries, because most users speak it.
    Names {
        first: "Grace Owen Ruby Miles Hazel Theo Ivy Felix Nora Silas June Wesley Daphne Elliot",
        last: "Hartwell O'Brien Pembroke Lockhart Ashby O'Neill Winslow Carver Thornbury Dunmore \
               Merriweather Holloway Fairbanks Whitlock",
    },
    Names {
        first: "Tessa Calvin Maeve Jonah Opal Desmond Willa Rupert Sadie Marcus Imani Darnell \
                Keisha Andre",
        last: "Oakes Brightwell Sutter Kincaid Beckford Ramsay Tolliver Okafor-Lane Prescott \
               Bellamy Stokes Gaines Mayfield Draper",
    },
    // Spanish
    Names {
        first: "Lucía=lucia Mateo Ximena Joaquín=joaquin Itzel Andrés=andres Pilar Julián=julian \
                Marisol Íñigo=inigo Camila Rubén=ruben Inés=ines Tomás=tomas",
        last: "Ibáñez=ibanez Quintero Ordóñez=ordonez Villaseñor=villasenor Peña=pena Salcedo \
               Núñez=nunez Arriaga Zúñiga=zuniga Cárdenas=cardenas Escobedo Montaño=montano \
               Figueroa Ríos=rios",
    },
    // Portuguese
    Names {
        first: "João=joao Beatriz Antônio=antonio Luísa=luisa Caetano Iracema Thiago \
                Conceição=conceicao Davi Heloísa=heloisa Otávio=otavio Jussara",
        last: "Magalhães=magalhaes Figueiredo Brandão=brandao Assunção=assuncao Vasconcelos \
               Guimarães=guimaraes Nóbrega=nobrega Teixeira Leitão=leitao Queirós=queiros",
    },
    // French
    Names {
        first: "Zoé=zoe Léon=leon Aurélie=aurelie François=francois Maëlys=maelys Gaël=gael \
                Océane=oceane Thibault Noémie=noemie Rémi=remi Clémence=clemence \
                Aïssatou=aissatou",
        last: "Lefèvre=lefevre Delacroix Béranger=beranger D'Arcy Châtelain=chatelain N'Diaye \
               Gauthier L'Hôpital=l'hopital Marchand Fournier Boisvert Peltier",
    },
    // German
    Names {
        first: "Jürgen=juergen Käthe=kaethe Lukas Anneliese Björn=bjoern Heike Götz=goetz Ulrike \
                Matthias Sieglinde Jörg=joerg Mareike",
        last: "Müller-Lüdenscheidt=mueller-luedenscheidt Weiß=weiss Schäfer=schaefer \
               Brückner=brueckner Vogelsang Köhler=koehler Hufnagel Zimmermann Rößler=roessler \
               Lindenbaum Krüger=krueger Steinhauer",
    },
    // Italian
    Names {
        first: "Chiara Niccolò=niccolo Ginevra Lorenzo Fiammetta Raffaele Noè=noe Ludovica Ettore \
                Mariasole Saverio Ilaria",
        last: "D'Angelo Cantù=cantu Bevilacqua Dell'Acqua Scognamiglio Nicolò=nicolo Passalacqua \
               Buonarroti Dall'Oglio Mezzanotte Zanetti Vivaldi",
    },
    // Polish; these last names are the same for all genders.
    Names {
        first: "Małgorzata=malgorzata Łukasz=lukasz Agnieszka Paweł=pawel Żaneta=zaneta \
                Stanisław=stanislaw Zofia Grzegorz Bożena=bozena Przemysław=przemyslaw",
        last: "Wójcik=wojcik Dąbek=dabek Gołąb=golab Król=krol Kaźmierczak=kazmierczak \
               Pająk=pajak Sęk=sek Żuraw=zuraw Nowak Wróbel=wrobel",
    },
    // Czech
    Names {
        first: "Jiří=jiri Ondřej=ondrej Tomáš=tomas Vojtěch=vojtech Radek Luboš=lubos Matěj=matej \
                Štěpán=stepan",
        last: "Dvořák=dvorak Němec=nemec Růžička=ruzicka Kovář=kovar Řezníček=reznicek \
               Šimek=simek Havránek=havranek Žák=zak",
    },
    Names {
        first: "Markéta=marketa Zdeňka=zdenka Lucie Božena=bozena Tereza Květa=kveta Šárka=sarka \
                Alžběta=alzbeta",
        last: "Dvořáková=dvorakova Němcová=nemcova Růžičková=ruzickova Kovářová=kovarova \
               Šimková=simkova Havránková=havrankova Žáková=zakova Vlčková=vlckova",
    },
    // Danish, Norwegian, Swedish
    Names {
        first: "Søren=soren Åse=ase Ingrid Håkon=hakon Gøril=goril Bjørn=bjorn Solveig \
                Øystein=oystein Maja Torbjörn=torbjorn Saga Måns=mans",
        last: "Kjærgaard=kjaergaard Østergaard=ostergaard Ødegård=odegard Lindqvist \
               Bækkelund=baekkelund Sjöberg=sjoberg Åkesson=akesson Nygård=nygard \
               Holmström=holmstrom Dahl Fjeld Söderlund=soderlund",
    },
    // Finnish
    Names {
        first: "Väinö=vaino Aino Pekka Säde=sade Jyrki Tuuli Yrjö=yrjo Helmi Onni Päivi=paivi",
        last: "Hämäläinen=hamalainen Mäkelä=makela Virtanen Jokinen Pöysti=poysti Kettunen \
               Räsänen=rasanen Lehtimäki=lehtimaki Saarinen Hyvönen=hyvonen",
    },
    // Turkish
    Names {
        first: "Ayşe=ayse Çağlar=caglar Gülşen=gulsen İlker=ilker Özlem=ozlem Şükrü=sukru Elif \
                Doğan=dogan Nazlı=nazli Barış=baris",
        last: "Yıldız=yildiz Öztürk=ozturk Çelik=celik Güneş=gunes Şahin=sahin Karadağ=karadag \
               Aydın=aydin Koç=koc Ünal=unal Demir",
    },
    // Greek
    Names {
        first: "Γιώργος=giorgos Νίκος=nikos Δημήτρης=dimitris Κώστας=kostas Σπύρος=spyros \
                Θάνος=thanos Λευτέρης=lefteris Μιχάλης=michalis",
        last: "Παπαδάκης=papadakis Οικονόμου=oikonomou Βλάχος=vlachos Αλεξίου=alexiou Ρήγας=rigas \
               Καραγιάννης=karagiannis Μακρής=makris Ζέρβας=zervas",
    },
    // Russian
    Names {
        first: "Дмитрий=dmitry Сергей=sergey Михаил=mikhail Алексей=alexey Фёдор=fyodor \
                Игорь=igor Павел=pavel Юрий=yury",
        last: "Соколов=sokolov Журавлёв=zhuravlyov Медведев=medvedev Кузнецов=kuznetsov \
               Щербаков=shcherbakov Лебедев=lebedev Цветков=tsvetkov Яковлев=yakovlev",
    },
    Names {
        first: "Ольга=olga Екатерина=ekaterina Наталья=natalya Людмила=lyudmila Светлана=svetlana \
                Юлия=yulia Ксения=ksenia Дарья=darya",
        last: "Соколова=sokolova Журавлёва=zhuravlyova Орлова=orlova Кузнецова=kuznetsova \
               Щукина=shchukina Лебедева=lebedeva Цветкова=tsvetkova Яковлева=yakovleva",
    },
    // Ukrainian; these last names are the same for all genders.
    Names {
        first: "Олександр=oleksandr Оксана=oksana Богдан=bohdan Соломія=solomiia Тарас=taras \
                Іванна=ivanna Євген=yevhen Ганна=hanna",
        last: "Шевченко=shevchenko Кравчук=kravchuk Ткаченко=tkachenko Лисенко=lysenko \
               Гончар=honchar Бойко=boiko Мельник=melnyk Коваль=koval",
    },
    // Armenian
    Names {
        first: "Անահիտ=anahit Արամ=aram Նարե=nare Տիգրան=tigran Լուսինե=lusine Հայկ=hayk",
        last: "Սարոյան=saroyan Պետրոսյան=petrosyan Հակոբյան=hakobyan Մարտիրոսյան=martirosyan \
               Ավետիսյան=avetisyan Գրիգորյան=grigoryan",
    },
    // Georgian
    Names {
        first: "ნინო=nino გიორგი=giorgi თამარ=tamar ლევან=levan ქეთევან=ketevan ზურაბ=zurab",
        last: "ბერიძე=beridze კაპანაძე=kapanadze ლომიძე=lomidze გელაშვილი=gelashvili \
               მაისურაძე=maisuradze წიკლაური=tsiklauri",
    },
    // Arabic
    Names {
        first: "ليلى=layla عمر=omar مريم=maryam يوسف=youssef نور=nour خالد=khaled سلمى=salma \
                طارق=tareq هدى=huda سمير=samir",
        last: "حداد=haddad الخطيب=alkhatib نجار=najjar المصري=almasri صباغ=sabbagh خوري=khoury \
               الشامي=alshami منصور=mansour درويش=darwish عبد_الله=abdallah",
    },
    // Hebrew
    Names {
        first: "נועה=noa איתן=eitan תמר=tamar יונתן=yonatan שירה=shira אורי=uri מיכל=michal \
                דוד=david",
        last: "לוי=levi כהן=cohen פרידמן=friedman אברהמי=avrahami ביטון=biton שפירא=shapira \
               גולן=golan רוזנברג=rosenberg",
    },
    // Persian
    Names {
        first: "شیرین=shirin داریوش=dariush پریسا=parisa بهرام=bahram نیلوفر=niloufar \
                کوروش=kourosh مهسا=mahsa آرش=arash",
        last: "رستمی=rostami فرهادی=farhadi تهرانی=tehrani کریمی=karimi شیرازی=shirazi \
               جعفری=jafari نوری=nouri پارسا=parsa",
    },
    // Hindi
    Names {
        first: "अनन्या=ananya रोहन=rohan प्रिया=priya अर्जुन=arjun कविता=kavita विक्रम=vikram \
                दीपिका=deepika राहुल=rahul मीरा=meera संजय=sanjay",
        last: "शर्मा=sharma गुप्ता=gupta वर्मा=verma मिश्रा=mishra चौहान=chauhan \
               त्रिपाठी=tripathi जोशी=joshi अग्रवाल=agrawal यादव=yadav पाण्डेय=pandey",
    },
    // Tamil
    Names {
        first: "கவிதா=kavitha முருகன்=murugan மீனா=meena செல்வம்=selvam தமிழ்=tamil இளங்கோ=ilango",
        last: "சுப்பிரமணியன்=subramanian நடராஜன்=natarajan கிருஷ்ணன்=krishnan பாண்டியன்=pandian \
               சுந்தரம்=sundaram வேலு=velu",
    },
    // Chinese has two entries: one in Chinese characters, one as many people write it in
    // California.
    Names {
        first: "伟=wei 秀英=xiuying 芳=fang 子涵=zihan 志强=zhiqiang 雨桐=yutong 建国=jianguo 美玲=meiling \
                浩然=haoran 晓明=xiaoming 静怡=jingyi 文博=wenbo",
        last: "王=wang 李=li 张=zhang 刘=liu 陈=chen 杨=yang 赵=zhao 黄=huang 周=zhou 吴=wu 欧阳=ouyang \
               诸葛=zhuge",
    },
    Names {
        first: "Wing-Yan Ka-Ming Mei-Ling Chi-Wai Siu-Fong Tin-Lok Hiu-Tung Kwok-Keung",
        last: "Leung Kwan Tam Fung Yeung Szeto Auyeung Lau",
    },
    // Japanese
    Names {
        first: "さくら=sakura 健太=kenta 美咲=misaki 大輔=daisuke 陽菜=hina 翔=sho 千尋=chihiro 蓮=ren 結衣=yui \
                拓海=takumi",
        last: "佐藤=sato 鈴木=suzuki 高橋=takahashi 渡辺=watanabe 小林=kobayashi 山口=yamaguchi 清水=shimizu \
               長谷川=hasegawa 藤田=fujita 森=mori",
    },
    // Korean
    Names {
        first: "서연=seoyeon 민준=minjun 지우=jiwoo 하은=haeun 도윤=doyun 예진=yejin 현우=hyunwoo 수빈=subin \
                은정=eunjung 태호=taeho",
        last: "김=kim 이=lee 박=park 최=choi 정=jung 강=kang 윤=yoon 임=lim 한=han 황보=hwangbo",
    },
    // Vietnamese
    Names {
        first: "Hương=huong Tuấn=tuan Ngọc=ngoc Đức=duc Thảo=thao Hùng=hung Phương=phuong \
                Quân=quan Yến=yen Khánh=khanh",
        last: "Nguyễn=nguyen Trần=tran Phạm=pham Hoàng=hoang Đặng=dang Bùi=bui Đỗ=do Vũ=vu Lý=ly \
               Võ=vo",
    },
    // Filipino
    Names {
        first: "Ligaya Bayani Maria_Luz=marialuz Jun-Jun Tala Crisanto Divina Rodel Amihan Jomar",
        last: "Dimaculangan Batungbakal Pangilinan Catacutan Macaraeg dela_Cruz=delacruz Bautista \
               Magbanua Ilagan Salonga",
    },
    // Thai
    Names {
        first: "สมชาย=somchai มาลี=malee อนันต์=anan กัญญา=kanya ธนา=thana พิมพ์=pim",
        last: "ศรีสุข=srisuk ทองดี=thongdee วงศ์สว่าง=wongsawang แก้วมณี=kaewmanee บุญมา=boonma \
               รักไทย=rakthai",
    },
    // Yoruba and Igbo
    Names {
        first: "Adébáyọ̀=adebayo Fọláṣadé=folasade Chidi Ngozi Olúwaṣeun=oluwaseun \
                Ifẹ́olúwa=ifeoluwa Emeka Adaeze",
        last: "Adéyẹmí=adeyemi Okonkwo Ògúnlẹ́yẹ=ogunleye Nwosu Bámgbóṣé=bamgbose Ezeani \
               Akíntọ́lá=akintola Obi",
    },
    // Amharic; the last name is the father's first name.
    Names {
        first: "አበበ=abebe ሰላም=selam ዳዊት=dawit ሕይወት=hiwot ሙሉጌታ=mulugeta ትዕግስት=tigist",
        last: "ተስፋዬ=tesfaye ገብረ=gebre ወልደ=wolde ኃይሉ=hailu በቀለ=bekele መኮንን=mekonnen",
    },
    // Hawaiian and Samoan
    Names {
        first: "Kaʻiulani=kaiulani Keoni Leilani Makoa Noelani Sione Malia Tavita",
        last: "Kealoha Māhoe=mahoe Kahananui Tuiasosopo Nākoa=nakoa Faleafa Kūkahiko=kukahiko \
               Leota",
    },
];
