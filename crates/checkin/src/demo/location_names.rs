//! The fictional names and specialities of the locations.

use super::weeks::{self, Week};
use crate::domain::Category;

/// Locations of one kind.
pub(super) struct Kind {
    pub(super) category: Category,
    /// The possible opening hours.
    pub(super) weeks: &'static [Week],
    /// One location per line: the name, `|`, the speciality.
    pub(super) lines: &'static str,
}

pub(super) const KINDS: &[Kind] = &[
    Kind { category: Category::Restaurant, weeks: weeks::RESTAURANT, lines: RESTAURANTS },
    Kind { category: Category::Restaurant, weeks: weeks::LUNCHEONETTE, lines: LUNCHEONETTES },
    Kind { category: Category::Cafe, weeks: weeks::CAFE, lines: CAFES },
    Kind { category: Category::Retail, weeks: weeks::RETAIL, lines: RETAIL },
    Kind { category: Category::Bar, weeks: weeks::BAR, lines: BARS },
    Kind { category: Category::Hair, weeks: weeks::HAIR, lines: HAIR },
    Kind { category: Category::Gym, weeks: weeks::GYM, lines: GYMS },
];

const RESTAURANTS: &str = "\
Tamarind Ferry|Burmese salads and slow curries
The Ninth Ladle|soups from nine countries
Masa y Marea|tacos with yesterday's catch
Fig & Foghorn|Californian plates from nearby farms
Nonna Brisa|hand-rolled pasta
Copper Dumpling|Shanghai dumplings in copper steamers
Injera Moon|Ethiopian platters to share
Saffron Tugboat|Persian rice and kebabs
Okonomi Alley|savoury pancakes from Osaka
Little Izmir Grill|Turkish meze over charcoal
Pho Lantern Bay|beef pho cooked overnight
The Salted Quince|seasonal dinners in four courses
Bao Meridian|steamed buns with odd fillings
Casa Tule|Oaxacan moles
Harbor & Husk|corn in every form, from tamales to chowder
Kimchi Crossing|Korean stews and barbecue
The Velvet Radish|vegetable cooking without apology
Lemon Quay|Greek fish and lemon potatoes
Jollof Junction|West African rice and grilled fish
Plum Street Noodles|hand-pulled noodles
Gilded Artichoke|old-school Italian-American suppers
Crab & Calliope|Dungeness crab by the pound
Chez Lupine|French country cooking
Red Bicycle Thai|curries at five levels of heat
Adobo Lighthouse|Filipino home cooking
Tortuga Roja|Peruvian ceviche and roast chicken
Emberwick|wood-fired meat and bread
Sichuan Sparrow|cold noodles and chilli oil
Pelmeni Parlor|Siberian dumplings and rye
Two Tides Sushi|sushi from a ten-seat counter
Basil Underground|Neapolitan pizza
Okra & Iron|Southern plates in cast iron
Dosa Dock|crisp dosas and sambar
Walnut & Wren|suppers with pears and walnuts
Mezcal Orchard|Mexican dinners and agave flights
Golden Ginkgo|Cantonese seafood and dim sum
Bricklayer's Burgers|smashed burgers and malted shakes
Polenta Social|northern Italian comfort food
Cardamom Steps|Keralan fish curry
Udon Harbor|thick noodles in clear broth
The Second Sardine|Portuguese small plates
Georgian Table Nine|khachapuri and walnut sauces
Smoke & Sorrel|barbecue with bitter greens
Larkspur Lantern|Vietnamese street food
Pine Nut Palace|Levantine dinners for a crowd
Noodle Ferrier|ramen with three broths
The Blue Trivet|casseroles and pies
Hearth & Heron|roast duck and hearth bread
Sundial Parsnip Kitchen|vegan bowls and cakes
Paprika Pier|Hungarian goulash and cucumber salad
Momo Ridge|Nepali momos
Clay Pot Cathedral|clay pot rice
Oyster Almanac|oysters from the bays up north
Turmeric & Tin|Sri Lankan hoppers
";

const LUNCHEONETTES: &str = "\
The Quiet Griddle|pancakes and eggs all day
Monsoon Tiffin|lunch boxes from Mumbai
Sabich Corner|pita sandwiches and pickles
Kanaka Plate|Hawaiian plate lunches
Cilantro Station|burritos the size of a shoe
Arepa Amiga|Venezuelan arepas
Santo Maíz|masa ground every morning
Falafel Fathom|falafel fried to order
";

const CAFES: &str = "\
Quillback Coffee|light roasts and loud records
Fogcutter Roasters|beans roasted in the back room
The Leaning Teacup|tea by the pot
Tidepenny Café|cortados and sea-salt cookies
Paperboat Espresso|espresso at a standing bar
Third Gull Coffee|coffee to carry down to the water
Marmalade Compass|scones and orange marmalade
Slow Otter|pour-overs for people with time
Crumb & Cormorant|morning buns and drip coffee
Pocketwatch Tea Room|tea and cake at five tables
Café Abejaruco|café de olla and conchas
Damselfly Books & Brew|used books and strong coffee
Halfmoon Kettle|kettle corn and cold brew
Birchbark Bakehouse|rye bread and cardamom rolls
The Daily Pomelo|juice, toast and granola
Kissaten Komorebi|siphon coffee in a quiet room
Lamplighter Coffee Yard|a sunny yard and flat whites
Oat & Anchor|oat milk everything
Zamboanga Coffee|barako coffee and ube cakes
Sugarplum Switchboard|doughnuts filled to order
Nutmeg Telegraph|spiced lattes
Chai Wallah's Nephew|chai boiled in a big pot
Grounds for Optimism|second cups on the house
Hummingbird Mocha|Yemeni coffee and honeycomb bread
The Idle Whisk|meringues and macchiatos
Mellow Pelican|coffee without hurry
Brass Button Bakery|croissants until they are gone
Verbena House|herbal teas from the back garden
Sesame & Steam|black sesame lattes
Rook & Rhubarb|chess boards and rhubarb pie
Café Perezoso|long breakfasts
Cinder Cone Coffee|dark roasts only
Matcha Mondays|matcha, on the other days too
Bellweather Beans|single farms, changing weekly
Pastel de Nadia|custard tarts
Slipwright Coffee|espresso in an old boat shed
Wild Fennel Café|quiche and lemonade
The Borrowed Spoon|soup and cake
Snowy Plover Ice & Coffee|affogato
Tandem Teahouse|oolong in small cups
Mooring Line Coffee|breakfast sandwiches
Persimmon Porch|fruit galettes and porch seats
Parchment & Pour|desks, sockets and refills
Kettlebird|crumpets
Little Lisbon Counter|galão and toast
The Copper Finch|hot chocolate
Foxglove Roastery|decaf that tastes of something
Sourdough Semaphore|toast from a very old starter
";

const RETAIL: &str = "\
Paper Pelican|cards, pens and letterpress prints
Tumbleweed Threads|second-hand denim
The Knot Locker|rope, yarn and patient advice
Fernhollow Plants|house plants that forgive
Minor Ninth Records|vinyl bought and sold
Gearwheel Bicycles|repairs while you wait
Marrow & Mint Grocers|vegetables and dry goods
Page Nineteen|new fiction and strong opinions
Lantern & Loom|rugs and woven baskets
Button Archive|four thousand kinds of buttons
Kite & Compass Toys|wooden toys and kites
Saltbox Ceramics|plates thrown on the premises
The Spice Ledger|spices by the ounce
Owl's Overcoat|vintage coats
Tin Robot Comics|comics and painted miniatures
Sequoia Soapworks|soap cut from the block
Wick & Willow|candles
Hopscotch Kids|clothes that outlast a child
Cobbler's Moon|shoes mended and made
Blue Heron Outfitters|tents, stoves and maps
Inkfish Stationery|notebooks from Japan
Ravel & Purl|wool and evening classes
The Glass Thimble|fabric by the yard
Goldfinch Optical|spectacles
Barnacle Surf Supply|boards and wetsuits
Hound & Hamper|food and beds for dogs
Attic Astronomer|telescopes, new and old
Pepperwood Cheese|cheese and crackers
Ampersand Type & Gifts|gifts with words on them
Rosehip Florist|flowers from the coast
The Fretted Board|guitars and strings
Mudlark Antiques|things found in attics
Citrus & Cedar|perfume mixed at the counter
North Needle Maps|maps and globes
Sparkplug Hardware|hardware down to the single screw
Bonito Pantry|Japanese groceries
Violet Quarter Jewelry|rings made to order
Clover & Comet Books|books for children
Tinderbox Kitchenware|knives and pans
Plaza Piñata|party goods and piñatas
Peacock Pleat Saris|saris and tailoring
Canvas & Crow|paint, paper and framing
Moth & Marigold|linen dresses
Gravity Skates|skateboards and ramps
Wagtail Pet Supply|birdseed and good advice
Honeycomb Housewares|everything for a first kitchen
";

const BARS: &str = "\
The Brass Heron|stirred drinks and no television
Ebb & Neap Social|draught beer and shuffleboard
Fogsworth Taproom|hazy beer from around the bay
The Crooked Sextant|rum from everywhere
Neon Abalone|karaoke in three rooms
Widow's Lighthouse|whiskey and a fireplace
The Purple Anchor|cheap pitchers and pool
Cellar Nightjar|natural wine by the glass
Switchyard Ale House|cask ale
Gilded Octopus|cocktails with seawater foam
Barrel & Bellows|cider and darts
The Absent-Minded Vine|wine from small hills
Copper Siren|live jazz after nine
Saint Agave|mezcal and little plates
Mudhen Mile Brewing|sour beer brewed on site
The Late Ferry|last drinks before the boat
Starboard Lounge|tiki drinks in tall mugs
Pinball Parish|pinball and pale ale
Velvet Foghorn|drag nights and sparkling wine
The Teetotal Tern|drinks without alcohol
Raven & Rye|rye whiskey, forty kinds
Electric Marigold|dancing on a small floor
Two Crows Tavern|trivia nights
Sake Lantern|sake and skewers
Dogleg Beer Garden|long tables under the trees
The Tin Trumpet|brass bands and gin
Hidden Ledger|a bookcase that is a door
Meridian Wine Loft|flights of six
Corner Kraken|stout and oysters
Last Lamplight|nightcaps
";

const HAIR: &str = "\
Shear Meridian|cuts for every texture
The Gilded Tortoiseshell|colour and balayage
Foam & Razor Barbers|hot towel shaves
Theorem of Curls|curls and coils
Bay Bramble Salon|natural dyes
Tousle House|walk-in haircuts
The Patient Barber|haircuts for nervous children
Fringe Benefit Studio|fringes and bobs
Coronet & Braid|braids and locs
Copperhead Salon|red hair of every shade
Scissorbird|short cuts
Mane Harbor|long hair and extensions
Silver Lining Hair|going grey with grace
Kindred Clippers|fades and line-ups
Salon Alondra|updos for weddings
Ninefold Barbershop|a cut and a chat
Sine & Curl Hair Lab|perms that look like now
Pomade & Plume|beards and moustaches
Lesser Dipper Cuts|family haircuts
Studio Saffron|henna and blow-dries
";

const GYMS: &str = "\
Granite Finch Climbing|bouldering walls
Iron Pelican|free weights and chalk
Slow Wave Yoga|yoga for stiff people
Spring Tide Strength|small group training
The Rowing Room|indoor rowing
Kettle & Kin|kettlebell classes
Pedal Parallax|cycling in the dark
Foxtrot Boxing Club|boxing without bruises
Pilates on Plum|reformer Pilates
Anchor Point Fitness|machines, pool and sauna
Lunge Laboratory|mobility and stretching
Redwood Judo Hall|judo for all ages
Night Owl Fitness|machines and dim lights
Barre Lagoon|barre classes
";
